"""A clock that stands still until it is told to go on: time in tests."""

import asyncio
import heapq
from itertools import count

from ports.clock import Clock

NANOSECONDS = 1_000_000_000
# Turns of the event loop that those who were woken get before time goes on: enough for a chain of a few tasks that
# wake each other without real I/O.
TURNS = 10


class ManualClock(Clock):
    """Time that only `advance` moves.

    It is kept in whole nanoseconds, so that ten steps of 0.1 s are exactly one second. `start` is the monotonic
    time and `unix` the Unix time at which it begins, seconds.
    """

    def __init__(self, start: float = 1_000.0, unix: float = 1_700_000_000.0) -> None:
        self._start = self._now = round(start * NANOSECONDS)
        self._unix = unix
        self._order = count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        """Seconds: `start` and what was advanced since."""
        return self._now / NANOSECONDS

    def time(self) -> float:
        """Unix time, moved by `advance` alone."""
        return self._unix + (self._now - self._start) / NANOSECONDS

    async def sleep(self, seconds: float) -> None:
        """Returns once `advance` has moved time that far; with 0 or less, after one turn of the event loop."""
        due = self._now + round(seconds * NANOSECONDS)
        if due <= self._now:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (due, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Moves time forward and returns when those who were woken by it have run.

        Sleepers wake in the order in which they are due, each at its own moment: it sees that time on the clock, may
        sleep again, and is woken again if that falls within `seconds` too. Before time goes on, each gets ten turns of
        the event loop; before the first, so do tasks that have not yet come to sleep. What waits for real I/O is not
        waited for. Raises `ValueError` if `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        await _let_run()
        end = self._now + round(seconds * NANOSECONDS)
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.done():  # it was cancelled while it slept
                continue
            self._now = due
            woken.set_result(None)
            await _let_run()
        self._now = end
        await _let_run()


async def _let_run() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
