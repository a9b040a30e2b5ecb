"""The cache port."""

from abc import abstractmethod
from typing import Protocol

from domain.events import Answer


class Cache(Protocol):
    """Complete answers by key, for a while. One tier; `AnswerCache` composes them."""

    @abstractmethod
    async def get(self, key: str) -> Answer | None:
        """The answer stored under `key`, or None if there is none, it is too old, or it cannot be read.

        Raises `CacheError`.
        """

    @abstractmethod
    async def put(self, key: str, answer: Answer, ttl: float) -> bool:
        """Stores it for `ttl` seconds. False if it is larger than the cache takes. Raises `CacheError`."""
