"""One stream that is being filled: who reads it in this process, and when it is given up.

A generation lives apart from any connection (C2): it ends when its answer does, when it is cancelled, or when its
last reader has been gone for longer than its grace (S7).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from domain.jobs import Job
from domain.model import CallContext, StreamInfo, Terminal
from domain.services.admission import Ticket
from domain.services.attempts import Progress
from domain.services.sweeper import Alarm, Sweeper


@dataclass(eq=False, slots=True)
class Generation:
    """The work behind one stream. `Generations` runs it."""

    sweeper: Sweeper
    job: Job
    progress: Progress
    ticket: Ticket
    started_at: float
    orphaned: "Callable[[Generation], None]"
    """Called when nobody here has read it for as long as its grace."""
    grace: float = field(init=False)
    readers: int = 0
    task: "asyncio.Task[None] | None" = None
    begun: bool = False
    reason: str | None = None
    """Why it was cancelled, if it was."""
    terminal: Terminal | None = None
    handed_over: bool = False
    """Whether another process goes on with it: here there is nothing left to end or to settle."""
    _orphan: Alarm | None = None

    def __post_init__(self) -> None:
        self.grace = self.context.grace

    @property
    def info(self) -> StreamInfo:
        """Of the stream that it fills."""
        return self.job.info

    @property
    def context(self) -> CallContext:
        """How it wants to be served."""
        return self.job.context

    def attach(self, grace: float) -> None:
        """A reader came; the work now goes on for at least its `grace` seconds after the last one left."""
        self.readers += 1
        self.grace = max(self.grace, grace)
        self.dismiss()

    def detach(self) -> None:
        """A reader left; the last one starts the grace. A stream that nobody ever read is not an orphan."""
        self.readers -= 1
        self.await_readers(self.grace)

    def await_readers(self, seconds: float) -> None:
        """Unless somebody reads it here, or comes in so many seconds, it is orphaned."""
        self.dismiss()
        if self.readers > 0 or self.terminal is not None or self.handed_over:
            return
        if seconds <= 0:
            self.orphaned(self)
        else:
            self._orphan = self.sweeper.alarm(seconds, lambda: self.orphaned(self))

    def cancel(self, reason: str) -> None:
        """Stops the work: the upstream call is closed now, and the stream ends as cancelled. Idempotent."""
        if self.terminal is not None or self.reason is not None:
            return
        self.reason = reason
        self._interrupt()

    def hand_over(self) -> None:
        """Stops without a word: its stream is another process's now, and its readers here follow it there. Also if it
        is at its end: the log has refused that then."""
        if self.handed_over:
            return
        self.handed_over = True
        self.dismiss()
        if self.terminal is None:
            self._interrupt()

    def _interrupt(self) -> None:
        # A task that is cancelled before its first step never runs at all, not even its `finally`: let it look first.
        if self.begun and self.task is not None:
            self.task.cancel()

    def dismiss(self) -> None:
        """Nobody has to watch for orphans (any more)."""
        if self._orphan is not None:
            self._orphan.cancel()
            self._orphan = None
