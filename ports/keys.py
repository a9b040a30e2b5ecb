"""The port of the API keys that commands make and revoke."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: never itself, only its SHA-256 (hex)."""

    name: str
    sha256: str
    tenant: str
    tier: str = "default"
    created: int | None = None
    """Unix time in seconds; None for a key of the configuration."""


class ApiKeys(Protocol):
    """The stored keys, by name. Few are kept and all are read at once: no request waits for this port."""

    @abstractmethod
    async def list(self) -> tuple[ApiKey, ...]:
        """All keys, by name, without those that cannot be read.

        Raises `ConfigurationError` if the store cannot be read, or if keys were in it and it is lost.
        """

    @abstractmethod
    async def put(self, key: ApiKey) -> bool:
        """Stores a new key. False if there is one by its name: nothing was stored.

        Raises `ConfigurationError` if the store cannot be written.
        """

    @abstractmethod
    async def remove(self, name: str) -> bool:
        """Removes a key. False if there is none by this name. Raises `ConfigurationError` like `put`."""
