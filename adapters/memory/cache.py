"""The cache in memory: the least recently used answer goes first."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from domain.events import Answer
from ports.cache import Cache
from ports.clock import Clock
from ports.occupancy import Occupancy


class _Entry(NamedTuple):
    answer: Answer
    expires_at: float


class MemoryCache(Cache, Occupancy):
    """Answers by key, bounded by bytes and by entries (K5). Never raises.

    `max_bytes` bounds the sum of the answers' `size`, `max_entry_bytes` each of them.
    """

    def __init__(self, clock: Clock, max_bytes: int, max_entries: int, max_entry_bytes: int) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._max_entry_bytes = min(max_entry_bytes, max_bytes)
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # the least recently used first
        self._bytes = 0

    async def get(self, key: str) -> Answer | None:
        """The answer, which counts as used now. One that is too old is dropped when it is asked for."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= self._clock.monotonic():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.answer

    async def put(self, key: str, answer: Answer, ttl: float) -> bool:
        """Stores it, and drops the least recently used ones for which there is no room any more."""
        if answer.size > self._max_entry_bytes:
            return False
        if key in self._entries:
            self._drop(key)
        self._entries[key] = _Entry(answer, self._clock.monotonic() + ttl)
        self._bytes += answer.size
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))
        return True

    def _drop(self, key: str) -> None:
        self._bytes -= self._entries.pop(key).answer.size

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {"headgate_cache_entries": self._entries.__len__, "headgate_cache_bytes": lambda: self._bytes}
