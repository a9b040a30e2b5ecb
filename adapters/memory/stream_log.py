"""The stream log in memory: one process is the whole fleet."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from adapters.memory.stream import MemoryReader, MemoryStream
from adapters.memory.stream_store import StreamStore
from domain.delta import Shape
from domain.errors import StreamNotResumableError
from domain.events import Answer, Events, columns
from domain.model import TERMINAL, Event, Lease, Position, StreamInfo
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects
from ports.occupancy import Occupancy
from ports.stream_log import StreamLog

# A stream in memory has one holder in its life: its process.
FENCE = 1


class MemoryStreamLog(StreamLog, Occupancy):
    """Streams in this process, kept for `retention` seconds after their end and `max_bytes` in all."""

    def __init__(
        self,
        clock: Clock,
        retention: float = 600.0,
        *,
        max_bytes: int,
        max_stream_bytes: int = 16 * 1024 * 1024,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._store = StreamStore[MemoryStream](clock, retention, max_bytes, max_stream_bytes)

    async def open(self, info: StreamInfo) -> Lease:
        """Begins a stream. Raises `StreamLogFullError`."""
        self._store.add(MemoryStream(info, None, self._defects))
        return Lease(info.stream_id, FENCE)

    async def open_shared(self, info: StreamInfo, key: str) -> Lease | StreamInfo:
        """Begins a stream that holds `key`, or finds the one that does. Raises `StreamLogFullError`."""
        holder = self._store.holder(key)
        if holder is not None:
            return holder.info
        self._store.add(MemoryStream(info, key, self._defects))
        return Lease(info.stream_id, FENCE)

    def append(self, lease: Lease, events: Sequence[Event]) -> None:
        """Appends and wakes the readers. Nothing is stored if it raises. The path of each event."""
        stream_id, fence = lease
        stream = self._store.find(stream_id)
        if stream is None or stream.closed or fence != FENCE:
            raise StreamNotResumableError("The stream is closed, or no longer this producer's.")
        given = events if type(events) is Events else columns(events)
        self._store.reserve(stream, given)
        texts, kinds = given.texts, given.kinds
        if type(given) is Answer and not stream.events.kinds:
            stream.events = cast("Events[Event]", given)  # nobody changes either any more
        else:
            kept = stream.events
            kept.texts += texts
            kept.kinds += kinds
        if kinds and type(kinds[-1]) is not Shape and isinstance(kinds[-1], TERMINAL):
            self._store.close(stream)
        if stream.waiting:
            stream.wake(given)

    async def settle(self, lease: Lease) -> None:
        """What was appended is there."""

    async def follow(self, stream_id: str, after: Position | None = None) -> MemoryReader | None:
        """A reader, or None if the stream expired, was evicted or never was."""
        stream = self._store.get(stream_id)
        return None if stream is None else MemoryReader(stream, after)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return self._store.occupancy()
