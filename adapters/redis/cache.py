"""The cache on Redis: an answer stored by one replica is a hit for all."""

import asyncio
from collections.abc import Callable, Mapping

from adapters.redis.answer_codec import HEADER_BYTES, VERSION, UnreadableEntryError, decode, encode
from adapters.redis.client import HOT_SECONDS, RedisClient
from adapters.redis.errors import RedisClientError, RedisRefusedError
from domain.errors import CacheConnectionError, CacheError
from domain.events import Answer
from ports.cache import Cache
from ports.occupancy import Occupancy

PREFIX = f"headgate:cache:{VERSION}:"
LOOKUP_SECONDS = 0.05
"""K5: what a Redis that hangs may cost a request."""
ROOM_BYTES = 64 << 10
THREAD_BYTES = 256 << 10
"""Above, packing (about 10 us a KB) is a thread's work: it would hold up the event loop."""


class RedisCache(Cache, Occupancy):
    """Answers by key, for their TTL, each bounded; how many there may be is Redis's `maxmemory` and its policy (K5).

    `max_entry_bytes` bounds an answer's `size`. Its encoded form may be twice that and 64 KiB: a text is in it beside
    the provider's own bytes. No more is read, nor unpacked, whatever is stored under the key.
    """

    def __init__(self, client: RedisClient, max_entry_bytes: int) -> None:
        self._client = client
        self._max_entry_bytes = max_entry_bytes
        self._max_encoded_bytes = 2 * max_entry_bytes + ROOM_BYTES
        self.unreadable = 0
        """Entries found that are corrupt, foreign or of another version: each was a miss."""

    async def get(self, key: str) -> Answer | None:
        """The answer. What cannot be read counts as `unreadable` and is none. Raises `CacheConnectionError`."""
        try:
            # GETRANGE, not GET: it brings no more than it is asked for, however large the entry is.
            entry = await self._client.execute_bulk(
                "GETRANGE", PREFIX + key, 0, self._max_encoded_bytes + HEADER_BYTES, timeout=LOOKUP_SECONDS, read=True
            )
        except RedisRefusedError as error:
            if error.word == "WRONGTYPE":
                self.unreadable += 1
                return None
            raise CacheError.from_exception(error, details={"word": error.word}) from error
        except RedisClientError as error:
            raise CacheConnectionError.from_exception(error, details={"word": error.word}) from error
        if not isinstance(entry, bytes) or not entry:  # a key that does not exist reads as an empty one
            return None
        try:
            if len(entry) > THREAD_BYTES:
                return await asyncio.to_thread(decode, entry, self._max_encoded_bytes)
            return decode(entry, self._max_encoded_bytes)
        except UnreadableEntryError:
            self.unreadable += 1
            return None

    async def put(self, key: str, answer: Answer, ttl: float) -> bool:
        """Stores it. False if it is too large, also in its encoded form. Raises `CacheError`: Redis may be full."""
        if answer.size > self._max_entry_bytes:
            return False
        if answer.size > THREAD_BYTES:
            entry = await asyncio.to_thread(encode, answer, self._max_encoded_bytes)
        else:
            entry = encode(answer, self._max_encoded_bytes)
        if entry is None:
            return False
        milliseconds = max(1, round(ttl * 1000))
        try:
            await self._client.execute_bulk("SET", PREFIX + key, entry, "PX", milliseconds, timeout=HOT_SECONDS)
        except RedisRefusedError as error:
            raise CacheError.from_exception(error, details={"word": error.word}) from error
        except RedisClientError as error:
            raise CacheConnectionError.from_exception(error, details={"word": error.word}) from error
        return True

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """What could not be read so far: how full Redis is, it tells itself."""
        return {"headgate_cache_unreadable": lambda: self.unreadable}
