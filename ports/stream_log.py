"""The stream log port: the one mechanism between those who produce and those who read."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from domain.model import Batch, Event, Lease, Position, StreamInfo, Terminal


class Reader(Protocol):
    """Follows one stream from a position, in order, without a gap.

    `reset` is True if the position that was asked for is not of this log: the reader then begins at seq 0, and its
    client must be told. `ended` is True if nothing is left to read: the terminal event was seen.
    """

    info: StreamInfo
    reset: bool

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether the terminal event has been returned, or was seen before this reader began."""

    @property
    @abstractmethod
    def terminal(self) -> Terminal | None:
        """How the stream ended, once this reader has `ended`."""

    @property
    @abstractmethod
    def resumable(self) -> bool:
        """Whether another replica could go on where this reader is: False while the shared log cannot be written."""

    @abstractmethod
    async def read(self, take: Callable[[Batch], bool] | None = None) -> Batch | None:
        """The next events, as soon as there are any; at most 256 at once, but that a replayed `Answer` may come whole:
        then it is the batch's `events`, not to be changed. None after a nudge, a `close`, or the end.

        While it waits, `take` is offered each batch in the moment in which it is there, without a task being woken; it
        must be quick. If it raises, this reader has ended and `read` raises `ReaderDefectError`; nobody else is
        disturbed. What it declines by False, `read` returns, and so it does with the last batch of
        a stream and with whatever comes while the stream is not `resumable`. Only one task reads at a time. Raises
        `StreamNotResumableError` if the log was lost meanwhile.
        """

    @abstractmethod
    def nudge(self) -> None:
        """Makes a `read` that waits return None: somebody has something else to do on this connection.

        If none waits, the next one that would wait returns None instead: a nudge is never lost.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends the reader; idempotent."""


class StreamLog(Protocol):
    """Append-only logs of events, each ended by exactly one terminal event, kept for a while after it."""

    @abstractmethod
    async def open(self, info: StreamInfo) -> Lease:
        """Begins a stream and returns the lease to append to it.

        Raises `StreamLogFullError`, and `ValueError` for an id that was used before (S1).
        """

    @abstractmethod
    async def open_shared(self, info: StreamInfo, key: str) -> Lease | StreamInfo:
        """Begins a stream that holds `key` until it ends; or, in the same step, finds the open one that holds it.

        A complete answer may hold it for a moment more: who asked the cache just before it was there finds it so (C1).

        Returns the lease of the new stream, or the info of the one that is there. Raises `StreamLogFullError`.
        """

    @abstractmethod
    def append(self, lease: Lease, events: Sequence[Event]) -> None:
        """Takes the events; readers see them once they are in the log, which may be after it returns: many go there
        together. A terminal event (only ever the last) closes the stream in the same step. Events are copied; an
        `Answer`, which nobody changes, may be kept as it is.

        Raises `StreamLogFullError`, if the events do not fit (a terminal event always fits), an `AnswerTooLongError` if
        they never can, and
        `StreamNotResumableError` if the stream is closed or no longer the lease's, as far as is known by then.
        """

    @abstractmethod
    async def settle(self, lease: Lease) -> None:
        """Returns once all that was appended is in the log, or never will be and readers here have it all the same.

        Raises `StreamNotResumableError` if the stream was not the lease's any more.
        """

    @abstractmethod
    async def follow(self, stream_id: str, after: Position | None = None) -> Reader | None:
        """A reader of the events after `after`, or of all. None if there is no such log (any more).

        Raises `StreamLogUnavailableError` if that cannot be told now.
        """
