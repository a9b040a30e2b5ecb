"""Time that stands still while the event loop is held up: it was not Redis then who let somebody wait."""

import asyncio
from collections.abc import Callable

from ports.defects import Defects, Where

TICK = 0.005
"""Seconds between two looks at the deadlines; how late one may be noticed."""
HELD_SECONDS = 1.0
"""The most that a held-up event loop adds to a deadline."""


class LoopTime:
    """Ticks while anybody waits: `look` is told the event loop's time and whether it was held up since the last look,
    and says whether anybody still waits.

    A deadline is kept on both times: `deadline` on this one, `limit`, which is `HELD_SECONDS` later, on the loop's. A
    look that raises is reported, and there is another: somebody may wait, and no other timer would send him away.
    """

    __slots__ = ("_defects", "_due", "_look", "_timer", "held")

    def __init__(self, look: Callable[[float, bool], bool], defects: Defects) -> None:
        self._look = look
        self._defects = defects
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.held = 0.0
        """Seconds for which this time has stood still."""

    def start(self, loop: asyncio.AbstractEventLoop) -> float:
        """Ticks, unless it does; returns the event loop's time."""
        now = loop.time()
        if self._timer is None:
            self._due = now + TICK
            self._timer = loop.call_at(self._due, self._tick)
        return now

    def stop(self) -> None:
        """Ticks no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        held = now - self._due > TICK
        if held:
            self.held += now - self._due
        try:
            awaited = self._look(now, held)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._defects.report(Where.REDIS, error)
            awaited = True
        if awaited:
            self._due = now + TICK
            self._timer = loop.call_at(self._due, self._tick)
        else:
            self._timer = None
