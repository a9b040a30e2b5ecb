"""The streams that a process has in memory: which there are, how long they are kept, and how much they may hold."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from adapters.memory.stream import MAX_READ_BYTES, MemoryStream
from domain.delta import Shape
from domain.errors import AnswerTooLongError, StreamLogFullError
from domain.events import Answer, Events
from domain.model import Event
from domain.weight import EVENT_OVERHEAD, weight
from ports.clock import Clock

# The stream, its place in the store, and its terminal event: paid when it is opened, so that its end always fits.
STREAM_OVERHEAD = 2048
# The most that one `add` purges: enough to keep up, few enough not to be felt.
PURGE_AT_ONCE = 64

Kept = TypeVar("Kept", bound=MemoryStream)


class StreamStore(Generic[Kept]):
    """Streams by id, and those that are open by the key that they hold; `retention` is in seconds after their end.

    What expired is purged when a stream is added. Where there is no room, the streams that ended first go first; one
    that is open is never dropped. `max_bytes` bounds all, `max_stream_bytes` each.
    """

    def __init__(self, clock: Clock, retention: float, max_bytes: int, max_stream_bytes: int) -> None:
        self._clock = clock
        self._retention = retention
        self._max_bytes = max_bytes
        self._max_stream_bytes = min(max_stream_bytes, max_bytes)
        self._bytes = 0
        self._streams: dict[str, Kept] = {}
        self.find: Callable[[str], Kept | None] = self._streams.get
        """The stream, even if it has expired a moment ago."""
        self._by_key: dict[str, Kept] = {}
        # In the order in which they ended, so in which they expire. Not a dict: to find the first of one, what was
        # deleted before it is passed over each time.
        self._closed: OrderedDict[Kept, None] = OrderedDict()

    def get(self, stream_id: str) -> Kept | None:
        """The stream, unless it expired, was evicted or never was here."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.closed and stream.expires_at <= self._clock.monotonic():
            self.drop(stream)
            return None
        return stream

    def holder(self, key: str) -> Kept | None:
        """The open stream that holds `key`."""
        return self._by_key.get(key)

    def add(self, stream: Kept) -> None:
        """Takes a stream in. Raises `StreamLogFullError`, and `ValueError` for an id that was used before."""
        self._purge()
        if stream.info.stream_id in self._streams:
            raise ValueError("a stream id is never used again")
        self._make_room(STREAM_OVERHEAD)
        self._bytes += STREAM_OVERHEAD
        stream.size = STREAM_OVERHEAD
        self._streams[stream.info.stream_id] = stream
        if stream.key is not None:
            self._by_key[stream.key] = stream

    def reserve(self, stream: Kept, events: Events[Event]) -> None:
        """Counts what these events take. Raises `AnswerTooLongError` where they are too much for one stream, and
        `StreamLogFullError` where they are for all; then nothing is counted."""
        kinds, known = events.kinds, stream.shape
        if len(kinds) == 1 and kinds[0] is known:  # the path of each event
            size = EVENT_OVERHEAD + len(events.texts[0])
        else:
            size = events.size if type(events) is Answer else weight(events, known)
            if not size:
                return
        if stream.size + size > self._max_stream_bytes:
            raise AnswerTooLongError(
                "The answer is longer than it may be.", details={"max_stream_bytes": self._max_stream_bytes}
            )
        if self._bytes + size > self._max_bytes:
            self._make_room(size)
        stream.size += size
        self._bytes += size
        if size > MAX_READ_BYTES:
            stream.large = True
        if kinds[-1] is not known:
            last = kinds[-1]
            stream.shape = last if type(last) is Shape else known

    def close(self, stream: Kept) -> None:
        """The stream has its end: it is kept for the retention, and its key is free."""
        stream.closed = True
        stream.expires_at = self._clock.monotonic() + self._retention
        self._closed[stream] = None
        if stream.key is not None:
            del self._by_key[stream.key]

    def drop(self, stream: Kept) -> None:
        """Forgets the stream now; who holds it goes on reading it."""
        if self._streams.pop(stream.info.stream_id, None) is None:
            return
        self._bytes -= stream.size
        self._closed.pop(stream, None)
        if stream.key is not None and self._by_key.get(stream.key) is stream:
            del self._by_key[stream.key]

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {
            "headgate_stream_log_streams": self._streams.__len__,
            "headgate_stream_log_bytes": lambda: self._bytes,
        }

    def _make_room(self, size: int) -> None:
        while self._bytes + size > self._max_bytes and self._closed:
            self.drop(next(iter(self._closed)))
        if self._bytes + size > self._max_bytes:
            raise StreamLogFullError("The stream log is full.", details={"max_bytes": self._max_bytes})

    def _purge(self) -> None:
        now = self._clock.monotonic()
        for _ in range(PURGE_AT_ONCE):
            oldest = next(iter(self._closed), None)
            if oldest is None or oldest.expires_at > now:
                return
            self.drop(oldest)
