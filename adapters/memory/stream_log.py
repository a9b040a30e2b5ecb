"""The stream log in memory: which streams there are, how long they are kept, and how much they may hold."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from adapters.memory.stream import MemoryReader, MemoryStream
from domain.errors import StreamLogFullError, StreamNotResumableError
from domain.model import TERMINAL, Delta, Event, Lease, Position, StreamInfo
from ports.clock import Clock
from ports.occupancy import Occupancy
from ports.stream_log import StreamLog

# What CPython takes beside the text: measured with sys.getsizeof on 64 bits, rounded up.
EVENT_OVERHEAD = 256
# The stream, its place in the log, and its terminal event: paid when it is opened, so that its end always fits.
STREAM_OVERHEAD = 2048
# The most that one `open` purges: enough to keep up, few enough not to be felt.
PURGE_AT_ONCE = 64
# A stream in memory has one holder in its life: its process.
FENCE = 1


class MemoryStreamLog(StreamLog, Occupancy):
    """Streams in this process, kept for `retention` seconds after their end and `max_bytes` in all.

    What expired is purged when a stream is opened. Where there is no room, the streams that ended first go first; one
    that is open is never dropped. A stream may hold `max_stream_bytes`.
    """

    def __init__(
        self, clock: Clock, retention: float = 600.0, *, max_bytes: int, max_stream_bytes: int = 16 * 1024 * 1024
    ) -> None:
        self._clock = clock
        self._retention = retention
        self._max_bytes = max_bytes
        self._max_stream_bytes = max_stream_bytes
        self._bytes = 0
        self._streams: dict[str, MemoryStream] = {}
        self._by_key: dict[str, MemoryStream] = {}
        self._closed: deque[MemoryStream] = deque()  # in the order in which they ended, so in which they expire

    async def open(self, info: StreamInfo) -> Lease:
        """Begins a stream. Raises `StreamLogFullError`."""
        return self._begin(info, None)

    async def open_shared(self, info: StreamInfo, key: str) -> Lease | StreamInfo:
        """Begins a stream that holds `key`, or finds the one that does. Raises `StreamLogFullError`."""
        holder = self._by_key.get(key)
        return self._begin(info, key) if holder is None else holder.info

    async def append(self, lease: Lease, events: Sequence[Event]) -> None:
        """Appends and wakes the readers. Nothing is stored if it raises."""
        stream = self._streams.get(lease.stream_id)
        if stream is None or stream.closed or lease.fence != FENCE:
            raise StreamNotResumableError("The stream is closed, or no longer this producer's.")
        size = 0
        for event in events:
            if isinstance(event, Delta):
                size += EVENT_OVERHEAD + len(event.raw) + len(event.text)
                if event.reasoning or event.tool_calls:
                    size += _extra_weight(event)
            elif not isinstance(event, TERMINAL):
                size += EVENT_OVERHEAD
        self._reserve(stream, size)
        stream.events.extend(events)
        if events and isinstance(events[-1], TERMINAL):
            self._close(stream)
        if stream.waiting:
            stream.wake()

    async def follow(self, stream_id: str, after: Position | None = None) -> MemoryReader | None:
        """A reader, or None if the stream expired, was evicted or never was."""
        stream = self._streams.get(stream_id)
        if stream is None or (stream.closed and stream.expires_at <= self._clock.monotonic()):
            return None
        return MemoryReader(stream, after)

    def _begin(self, info: StreamInfo, key: str | None) -> Lease:
        self._purge()
        if info.stream_id in self._streams:
            raise ValueError("a stream id is never used again")
        if not self._make_room(STREAM_OVERHEAD):
            raise StreamLogFullError("The stream log is full.", details={"max_bytes": self._max_bytes})
        stream = MemoryStream(info, key, STREAM_OVERHEAD)
        self._bytes += stream.size
        self._streams[info.stream_id] = stream
        if key is not None:
            self._by_key[key] = stream
        return Lease(info.stream_id, FENCE)

    def _reserve(self, stream: MemoryStream, size: int) -> None:
        if not size:
            return
        if stream.size + size > self._max_stream_bytes:
            raise StreamLogFullError(
                "The stream is longer than it may be.", details={"max_stream_bytes": self._max_stream_bytes}
            )
        if not self._make_room(size):
            raise StreamLogFullError("The stream log is full.", details={"max_bytes": self._max_bytes})
        stream.size += size
        self._bytes += size

    def _close(self, stream: MemoryStream) -> None:
        stream.closed = True
        stream.expires_at = self._clock.monotonic() + self._retention
        self._closed.append(stream)
        if stream.key is not None:
            del self._by_key[stream.key]

    def _make_room(self, size: int) -> bool:
        while self._bytes + size > self._max_bytes and self._closed:
            self._drop_oldest()
        return self._bytes + size <= self._max_bytes

    def _purge(self) -> None:
        now = self._clock.monotonic()
        for _ in range(PURGE_AT_ONCE):
            if not self._closed or self._closed[0].expires_at > now:
                return
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        stream = self._closed.popleft()
        del self._streams[stream.info.stream_id]
        self._bytes -= stream.size

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {
            "headgate_stream_log_streams": self._streams.__len__,
            "headgate_stream_log_bytes": lambda: self._bytes,
        }


def _extra_weight(delta: Delta) -> int:
    """Of the fields that most events do not have: the provider may send them without `raw`."""
    return len(delta.reasoning) + sum(EVENT_OVERHEAD + len(call.arguments) for call in delta.tool_calls)
