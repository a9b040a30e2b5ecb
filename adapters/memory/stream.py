"""One stream in memory and its readers: the path of each event."""

import asyncio
from collections.abc import Callable

from domain.delta import Shape
from domain.errors import ReaderDefectError, StreamNotResumableError
from domain.events import Answer, Events
from domain.model import TERMINAL, Batch, Event, Position, StreamInfo, Terminal
from domain.weight import EVENT_OVERHEAD, shape_weight
from ports.defects import CALLBACK_ERRORS, LOGGED_DEFECTS, Defects, Where
from ports.stream_log import Reader

MAX_READ = 256
MAX_READ_BYTES = 1 << 18
"""One event alone may be larger. Whoever is late to a long stream of large events would hold all of it (S11)."""
MAX_WHOLE = 1 << 17
"""Bytes of an answer from the cache that is read in one piece."""
_new_batch = tuple.__new__  # without the frame of a NamedTuple's own


class MemoryStream:
    """The events of one stream, and who waits for more. Changed by its log alone."""

    __slots__ = (
        "closed",
        "defects",
        "events",
        "expires_at",
        "info",
        "key",
        "large",
        "lost",
        "resumable",
        "shape",
        "size",
        "waiting",
    )

    def __init__(self, info: StreamInfo, key: str | None, defects: Defects = LOGGED_DEFECTS) -> None:
        self.info = info
        self.key = key
        self.defects = defects
        self.size = 0
        self.large = False
        """Whether an append was larger than a read may be: its readers come for it, each at its own pace (S11)."""
        self.shape: Shape | None = None
        """That of the last delta."""
        self.events: Events[Event] = Events([], [])
        self.closed = False
        self.expires_at = 0.0
        self.resumable = True
        """Whether all that was read here can be read elsewhere too."""
        self.lost = False
        """Whether the rest of it is gone."""
        self.waiting: dict[MemoryReader, None] = {}

    def wake(self, news: Events[Event]) -> None:
        """Hands the readers that wait what has just been added, or lets them look again if that is nothing.

        Whoever appends stands above this call, and behind it in the row are the other readers: what a reader's callback
        raises ends that reader alone (G1).
        """
        count = len(news.kinds)
        batch = _new_batch(Batch, (len(self.events.kinds) - count, news))
        for reader in tuple(self.waiting):
            try:
                if not reader.take_on(batch, count):
                    self.waiting.pop(reader, None)
            except CALLBACK_ERRORS as error:
                self.waiting.pop(reader, None)
                reader.fail(error)
                self.defects.report(Where.READER, error)


class MemoryReader(Reader):
    """A place in a stream, and while it waits one future.

    It holds the stream itself: if that expires or is evicted meanwhile, this reader still comes to its end. What is
    kept for it beyond the log's bound is one stream, so at most `max_stream_bytes`, until it is closed.
    """

    __slots__ = ("_closed", "_defect", "_next", "_nudged", "_stream", "_take", "_waiter", "info", "reset")

    def __init__(self, stream: MemoryStream, after: Position | None) -> None:
        self.info = stream.info
        self._stream = stream
        self._waiter: asyncio.Future[None] | None = None
        self._take: Callable[[Batch], bool] | None = None
        self._nudged = False
        self._closed = False
        self._defect: ReaderDefectError | None = None
        known = after is not None and after.epoch == self.info.epoch and 0 <= after.seq < len(stream.events)
        self.reset = after is not None and not known
        self._next = after.seq + 1 if after is not None and known else 0

    @property
    def ended(self) -> bool:
        """Whether the stream is closed and all of it was read, or seen before."""
        return self._stream.closed and self._next == len(self._stream.events.kinds)

    @property
    def resumable(self) -> bool:
        """Whether another replica could go on where this reader is."""
        return self._stream.resumable

    @property
    def terminal(self) -> Terminal | None:
        """How the stream ended, once this reader has come to its end."""
        last = self._stream.events[-1] if self.ended else None
        return last if isinstance(last, TERMINAL) else None

    async def read(self, take: Callable[[Batch], bool] | None = None) -> Batch | None:
        """The next events. None, without waiting, once the reader is closed or at the end. Raises `ReaderDefectError`
        once `take` has raised."""
        stream, first = self._stream, self._next
        if first == len(stream.events.kinds) and not (self._nudged or self._closed or stream.closed or stream.lost):
            await self._wait(take)
            first = self._next
        if self._closed:
            if self._defect is not None:
                raise self._defect
            return None
        events = stream.events
        if first or type(events) is not Answer or events.size > MAX_WHOLE:
            events = stream.events[first : first + MAX_READ]
            if stream.size > MAX_READ_BYTES:
                events = events[: _fitting(events)]
        if not events.kinds:
            if stream.lost:
                raise StreamNotResumableError("The rest of this stream is lost.", thread_id=self.info.thread_id)
            self._nudged = False
            return None
        self._next = first + len(events.kinds)
        return Batch(first, events)

    async def _wait(self, take: Callable[[Batch], bool] | None) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        self._take = take
        self._stream.waiting[self] = None
        try:
            await self._waiter
        finally:
            self._waiter = self._take = None
            self._stream.waiting.pop(self, None)

    def take_on(self, news: Batch, count: int) -> bool:
        """So many news go to `take`, or end the waiting; whether the reader waits on. The stream itself calls it."""
        stream, waiter, take = self._stream, self._waiter, self._take
        if waiter is None or waiter.done():
            return False
        if (
            take is not None
            and news.first == self._next
            and stream.resumable
            and not stream.closed
            and not stream.large
            and 0 < count <= MAX_READ
            and take(news)
        ):
            self._next += count
            return True
        waiter.set_result(None)
        return False

    def fail(self, error: BaseException) -> None:
        """Ends the reader: its callback has raised `error`, and nobody knows what of the batch its client has had. The
        `read` that waits raises, and so does each from now on. The stream itself calls it."""
        text = f"The reader of this stream ended by a {type(error).__name__}."
        self._defect = ReaderDefectError(text, thread_id=self.info.thread_id)
        self._defect.__cause__ = error
        self._closed = True
        self.nudge()

    def nudge(self) -> None:
        """Makes the `read` that waits return None, or else the next one that would have to wait.

        It is remembered, so that a nudge which comes between two reads is not lost; events still come first.
        """
        self._nudged = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Ends the reader: a `read` that waits, and each from now on, returns None."""
        self._closed = True
        self.nudge()


def _fitting(events: Events[Event]) -> int:
    """How many of the first of these events are one read: at least one."""
    size, last = 0, None
    for count, (text, kind) in enumerate(zip(events.texts, events.kinds, strict=True)):
        size += EVENT_OVERHEAD + len(text)
        if type(kind) is Shape and kind is not last:
            last = kind
            size += shape_weight(kind)
        if count and size > MAX_READ_BYTES:
            return count
    return len(events.kinds)
