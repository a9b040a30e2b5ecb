"""A part of the process: a task that must run until it is closed. If it ends before, the process is broken (G8)."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Self

from ports.defects import Defects, Where

PATIENCE = 10
"""So many turns of a part that fail in a row end it. One defect, or one odd value from elsewhere, costs a turn; a part
of which every turn fails does not do its work, and a new process may."""
LONG_SECONDS = 60.0
"""A turn that went on for so long before it failed has done its work: it begins a new row."""


class PartEndedError(Exception):
    """A part returned, or took somebody else's cancellation for its own, while nobody had closed it."""


class Part:
    """Runs `work` in a task of its own until `aclose`, and tells `defects` if it ends before, however that comes."""

    __slots__ = ("_closing", "_defects", "_task", "_where")

    def __init__(self, work: Coroutine[None, None, None], where: Where, defects: Defects) -> None:
        self._where = where
        self._defects = defects
        self._closing = False
        self._task = asyncio.create_task(work, name=str(where))
        self._task.add_done_callback(self._ended)

    @classmethod
    def of_turns(cls, turn: Callable[[], Awaitable[None]], where: Where, defects: Defects) -> Self:
        """A part that does one turn after the other: see `take_turns`."""
        return cls(take_turns(turn, where, defects), where, defects)

    async def aclose(self) -> None:
        """Cancels the task and waits until it has ended. Idempotent."""
        self._closing = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()  # asked, so that asyncio does not log it once more
        # An event loop that is closed without `aclose` cancels its tasks. A `CancelledError` that nobody asked for is
        # that of something for which the part waited.
        closed = self._closing or (task.cancelled() and task.cancelling())
        if not closed:
            self._defects.fail(self._where, error or PartEndedError(f"the part {self._where} has ended"))


async def take_turns(turn: Callable[[], Awaitable[None]], where: Where, defects: Defects) -> None:
    """Does one `turn` after the other until it is cancelled; each waits by itself for its time.

    A turn that raises is reported and costs itself alone. PATIENCE of them in a row are raised: the part ends.
    """
    loop, failed = asyncio.get_running_loop(), 0
    while True:
        began = loop.time()
        try:
            await turn()
        except Exception as error:
            failed = failed + 1 if loop.time() - began < LONG_SECONDS else 1
            if failed == PATIENCE:
                raise
            defects.report(where, error)
        else:
            failed = 0
