"""Who asks: an API key makes a tenant and a tier; without keys, an address does."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from domain.errors import InvalidApiKeyError, MissingApiKeyError
from domain.model import Caller

MAX_KEY_LENGTH = 512


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: never itself, only its SHA-256 (hex)."""

    sha256: str
    tenant: str
    tier: str


class Callers:
    """Turns what a request presents into a caller. Open when there are no keys."""

    def __init__(self, keys: Mapping[str, ApiKey]) -> None:
        self._by_digest = {key.sha256.lower(): key for key in keys.values()}

    @property
    def open(self) -> bool:
        """Whether anybody may call."""
        return not self._by_digest

    def identify(self, presented: str | None, address: str) -> Caller:
        """The caller. Raises `MissingApiKeyError`, or `InvalidApiKeyError`, the same for every wrong key (P2).

        Keys are found by their hash, so that what timing could tell is about the hash of a guess, never about a key.
        """
        if self.open:
            return Caller(f"ip:{address}")
        if not presented:
            raise MissingApiKeyError("An API key is required: send it as `Authorization: Bearer KEY`.")
        digest = sha256(presented[:MAX_KEY_LENGTH].encode("utf-8", "surrogatepass")).hexdigest()
        key = self._by_digest.get(digest)
        if key is None or len(presented) > MAX_KEY_LENGTH or not hmac.compare_digest(key.sha256.lower(), digest):
            raise InvalidApiKeyError("The API key is not valid.")
        return Caller(key.tenant, key.tier)
