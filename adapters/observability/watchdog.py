"""The watchdog of an event loop: a thread that says which task holds the loop up, while it still does."""

import asyncio
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Self

from adapters.observability.logging import get_logger
from ports.defects import LOGGED_DEFECTS, Defects, Where
from ports.occupancy import Occupancy

LOOK_SECONDS = 0.25
BLOCKED_LOOKS = 8
"""So many looks in a row without a beat are a block: 2 s. Looks are counted, not seconds: in a process that was
stopped, or got no CPU, the thread has not looked either."""
CALM_LOOKS = 4
"""So many beats in a row end it: until then whoever asked meanwhile has had an answer, and it was no."""
FRAMES = 8
JOIN_SECONDS = 1.0


class LoopWatchdog(Occupancy):
    """Watches the event loop that it was entered in, until it is left.

    It can only look where Python lets another thread run: what holds the interpreter's lock all the while (a regular
    expression that goes astray) is seen by the lag of the sweeper alone. Its thread ends by a defect of its own with
    the process: nobody would say any more that the loop is blocked.
    """

    def __init__(self, look_seconds: float = LOOK_SECONDS, defects: Defects = LOGGED_DEFECTS) -> None:
        self._defects = defects
        self.blocked = False
        """From the moment a block is noticed until the loop has gone on for a second. Read from any thread."""
        self._look_seconds = look_seconds
        self._blocks = 0
        self._beaten = True
        self._missed = 0
        self._calm = 0
        self._stop = threading.Event()
        self._logger = get_logger("headgate.watchdog")

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(JOIN_SECONDS)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How often the loop was blocked so far."""
        return {"headgate_event_loop_blocks": lambda: self._blocks}

    def look(self) -> None:
        """One look: has the loop taken a step since the last one?"""
        if not self._beaten:
            self._missed += 1
            self._calm = 0
            if self._missed == BLOCKED_LOOKS:
                self._tell()
            return
        self._missed = 0
        self._calm += 1
        if self.blocked and self._calm > CALM_LOOKS:
            self.blocked = False
            self._logger.warning("the event loop goes on")
        self._beaten = False
        self._loop.call_soon_threadsafe(self._beat)

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._look_seconds):
                self.look()
        except Exception as error:  # noqa: BLE001 - a thread that dies tells nobody else
            self._defects.fail(Where.WATCHDOG, error)

    def _beat(self) -> None:
        self._beaten = True

    def _tell(self) -> None:
        self.blocked = True
        self._blocks += 1
        task = asyncio.current_task(self._loop)
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - the documented way to another thread's stack
        self._logger.error(
            "the event loop is blocked",
            task=None if task is None else task.get_name(),
            coroutine=None if task is None else getattr(task.get_coro(), "__qualname__", None),
            where=places_of(frame),
        )


def places_of(frame: FrameType | None) -> list[str]:
    """Where a thread is, the innermost first: code, and nothing of what it works on."""
    places: list[str] = []
    while frame is not None and len(places) < FRAMES:
        places.append(f"{frame.f_globals.get('__name__')}:{frame.f_lineno} {frame.f_code.co_qualname}")
        frame = frame.f_back
    return places
