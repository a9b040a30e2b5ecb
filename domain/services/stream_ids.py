"""Stream ids that prove themselves: any replica tells "gone" from "never was", and whose, without a look-up (S6).

An id is 10 random bytes, then 8 bytes of a keyed hash over them and the owner, as URL-safe base64 behind `s_`. Nothing
in it is readable; it is not a credential: to read a stream one must be its owner *and* know its id.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

PREFIX = "s_"
_NONCE, _MAC = 10, 8
_ID = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{{(_NONCE + _MAC) * 4 // 3}}}")

MAX_KEYS = 4
"""How many secrets are remembered: the fleet's, and those under which ids were made before it was known."""


class StreamIds:
    """Makes and checks stream ids. Replicas of one fleet share `secret`."""

    def __init__(self, secret: bytes) -> None:
        self._keys: tuple[bytes, ...] = (_key(secret),)

    def adopt(self, secret: bytes) -> None:
        """Makes ids under this secret from now on; those that were made before are still known."""
        key = _key(secret)
        self._keys = (key, *(old for old in self._keys if old != key))[:MAX_KEYS]

    def create(self, owner: str) -> str:
        """A new id that belongs to `owner`."""
        nonce = secrets.token_bytes(_NONCE)
        return PREFIX + urlsafe_b64encode(nonce + _mac(self._keys[0], nonce, owner)).decode("ascii")

    def belongs(self, stream_id: str, owner: str) -> bool:
        """Whether this is an id that was once made for `owner`. False for anything else, whatever it is."""
        if not _ID.fullmatch(stream_id):  # what is no base64 would raise, or be passed over
            return False
        raw = urlsafe_b64decode(stream_id[len(PREFIX) :])
        return any(hmac.compare_digest(raw[_NONCE:], _mac(key, raw[:_NONCE], owner)) for key in self._keys)


def _key(secret: bytes) -> bytes:
    return blake2b(secret, digest_size=32, person=b"headgate-stream").digest()


def _mac(key: bytes, nonce: bytes, owner: str) -> bytes:
    return blake2b(nonce + owner.encode("utf-8", "surrogatepass"), key=key, digest_size=_MAC).digest()


def new_epoch() -> str:
    """The random part of a generation's event ids (S1)."""
    return secrets.token_hex(4)
