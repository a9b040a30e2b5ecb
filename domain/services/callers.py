"""Who asks: an API key makes a tenant and a tier; without keys, an address does."""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from domain.errors import InvalidApiKeyError, MissingApiKeyError
from domain.model import Caller
from domain.tiers import DEFAULT_TIER
from ports.keys import ApiKey

MAX_KEY_LENGTH = 512


class _Known(NamedTuple):
    sha256: str
    caller: Caller


class Callers:
    """Turns what a request presents into a caller. Open until a key was known once.

    `configured` keys stay; stored ones are replaced as a whole. `tiers` are the names that limits are known for.
    """

    def __init__(self, configured: Iterable[ApiKey], tiers: Iterable[str]) -> None:
        self._configured = tuple(configured)
        self._tiers = frozenset(tiers)
        self._closed = False
        self.replace(())

    @property
    def open(self) -> bool:
        """Whether anybody may call."""
        return not self._closed

    def close(self) -> None:
        """From now on nobody may call without a key, even if there is none."""
        self._closed = True

    def replace(self, stored: Iterable[ApiKey]) -> tuple[ApiKey, ...]:
        """From now on these keys are valid, and the configured ones. Gives those whose tier does not exist: their
        callers are of the default tier.

        With the first key the service is closed, and it stays so: a last key that is revoked opens it to nobody.
        """
        keys = (*stored, *self._configured)
        self._by_digest = {key.sha256.lower(): _Known(key.sha256.lower(), self._caller(key)) for key in keys}
        self._closed = self._closed or bool(keys)
        return tuple(key for key in keys if key.tier not in self._tiers)

    def _caller(self, key: ApiKey) -> Caller:
        return Caller(key.tenant, key.tier if key.tier in self._tiers else DEFAULT_TIER)

    def identify(self, presented: str | None, address: str) -> Caller:
        """The caller. Raises `MissingApiKeyError`, or `InvalidApiKeyError`, the same for every wrong key (P2)."""
        if self.open:
            return Caller(f"ip:{address}")
        if not presented:
            raise MissingApiKeyError("An API key is required: send it as `Authorization: Bearer KEY`.")
        digest = sha256(presented[:MAX_KEY_LENGTH].encode("utf-8", "surrogatepass")).hexdigest()
        # The look-up's time depends on the digest of the guess. Who could measure it would learn digits of a stored
        # hash, and to use them would have to find a text with that hash: SHA-256 does not let itself be steered. What
        # is found is then compared in constant time.
        known = self._by_digest.get(digest)
        if known is None or len(presented) > MAX_KEY_LENGTH or not hmac.compare_digest(known.sha256, digest):
            raise InvalidApiKeyError("The API key is not valid.")
        return known.caller
