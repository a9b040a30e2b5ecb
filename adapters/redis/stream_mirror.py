"""One stream of the shared log as a process knows it: its own, which it fills, or another's, which it follows."""

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

from adapters.memory.stream import MemoryReader, MemoryStream
from domain.delta import Shape
from domain.events import Answer, Events
from domain.model import TERMINAL, Event, Position, StreamInfo
from ports.defects import LOGGED_DEFECTS, Defects

META, LOG, CLAIM, PROCESS = "headgate:meta:{", "headgate:log:{", "headgate:claim:", "headgate:process:"
"""Prefixes of keys. A stream's id follows in braces: on a cluster its two keys are in one slot."""
MAX_PIECE_EVENTS = 256
MAX_PIECE_BYTES = 256 * 1024

_INFO = msgspec.msgpack.Decoder(tuple[str, str, str, int, str])


def encode_info(info: StreamInfo) -> bytes:
    """What is fixed about a stream, as its meta has it."""
    return msgspec.msgpack.encode((info.stream_id, info.epoch, info.model, info.created, info.thread_id))


def decode_info(data: bytes) -> StreamInfo:
    """The other way round. Raises `msgspec.MsgspecError`."""
    return StreamInfo(*_INFO.decode(data))


class StreamMirror(MemoryStream):
    """A stream and how far the shared log has it.

    `events` are what readers here may see; `pending` follow them and are on their way to the log. `acked` counts the
    events that the log is known to have, since `acked_at` (monotonic seconds).
    """

    __slots__ = ("acked", "acked_at", "fence", "on_left", "owned", "pending", "readers", "settled", "stalled_at")

    def __init__(
        self, info: StreamInfo, key: str | None, fence: int, now: float, defects: Defects = LOGGED_DEFECTS
    ) -> None:
        super().__init__(info, key, defects)
        self.fence = fence
        self.owned = fence > 0
        """Whether this process fills it, and as far as it knows may."""
        self.pending: Events[Event] = Events([], [])
        self.acked = 0
        self.acked_at = now
        self.settled: asyncio.Future[None] | None = None
        """Done when nothing is pending any more."""
        self.readers = 0
        self.on_left: Callable[[StreamMirror], None] | None = None
        """Told when the last reader here has left."""
        self.stalled_at: float | None = None
        """Since when the log has not had what it should (monotonic seconds)."""

    @property
    def meta_key(self) -> str:
        """Its hash in Redis."""
        return f"{META}{self.info.stream_id}}}"

    @property
    def log_key(self) -> str:
        """Its Redis Stream."""
        return f"{LOG}{self.info.stream_id}}}"

    @property
    def length(self) -> int:
        """All events, pending ones too."""
        return len(self.events.kinds) + len(self.pending.kinds)

    def unsent(self) -> Events[Event]:
        """The next events for the log: as many as may go in one piece. To be used before there are others."""
        seen = len(self.events.kinds)
        events = self.pending if self.acked >= seen else self.events[self.acked : self.acked + MAX_PIECE_EVENTS]
        if len(events.kinds) <= MAX_PIECE_EVENTS and self.size <= MAX_PIECE_BYTES:
            return events  # all of the stream is less than a piece may be
        size, last = 0, None
        for count, (text, kind) in enumerate(zip(events.texts, events.kinds, strict=True)):
            size += len(text)
            if type(kind) is Shape and kind is not last:
                last = kind
                size += len(kind.head) + len(kind.tail or b"")
            if count == MAX_PIECE_EVENTS or (count and size > MAX_PIECE_BYTES):
                return events[:count]
        return events

    def take_in(self, events: Events[Event]) -> None:
        """More that is on its way to the log."""
        if type(events) is Answer and not self.length:
            self.pending = cast("Events[Event]", events)  # nobody changes either any more
        else:
            self.pending.extend(events)

    def show(self, count: int) -> bool:
        """Lets readers see the first `count` pending events; whether the stream is at its end with them."""
        pending = self.pending
        if count == len(pending.kinds):
            shown, self.pending = pending, Events([], [])
        else:
            shown, self.pending = pending[:count], pending[count:]
        if isinstance(shown, Answer):
            self.events = cast("Events[Event]", shown)
        else:
            self.events.extend(shown)
        if not self.pending.kinds and self.settled is not None:
            self.settled.set_result(None)
            self.settled = None
        if shown.kinds:
            self.closed = isinstance(shown.kinds[-1], TERMINAL)  # before a reader sees the event: it is the last
            self.wake(shown)
        return bool(shown.kinds) and self.closed

    async def settle(self) -> None:
        """Returns when nothing is pending. The client's deadlines bound that: then all is shown, in the log or not."""
        if self.pending.kinds:
            if self.settled is None:
                self.settled = asyncio.get_running_loop().create_future()
            await asyncio.shield(self.settled)

    def give_up(self) -> None:
        """Forgets what is pending: it will never be in the log."""
        self.pending = Events([], [])
        self.show(0)

    def lose(self) -> None:
        """The rest is gone: readers come to what is here and are told."""
        self.lost = True
        self.give_up()
        self.wake(Events([], []))


class MirrorReader(MemoryReader):
    """A reader that its mirror counts."""

    __slots__ = ("_counted",)

    def __init__(self, mirror: StreamMirror, after: Position | None) -> None:
        super().__init__(mirror, after)
        self._counted: StreamMirror | None = mirror
        mirror.readers += 1

    def close(self) -> None:
        """Ends the reader; the last one of a stream lets go of it."""
        super().close()
        mirror, self._counted = self._counted, None
        if mirror is None:
            return
        mirror.readers -= 1
        if not mirror.readers and mirror.on_left is not None:
            mirror.on_left(mirror)
