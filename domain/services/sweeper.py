"""Deadlines kept by one task, so that no event costs a timer.

A deadline is a float that its owner moves with a plain store (`alarm.at = ...`), once per event; the sweeper looks at
all of them every `tick` seconds. What is paid for that: an alarm rings up to one tick late.
"""

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ports.clock import Clock
from ports.defects import CALLBACK_ERRORS, LOGGED_DEFECTS, Defects, Where

NEVER = math.inf


def _silent() -> None:
    """What a cancelled alarm rings."""


class Alarm:
    """One deadline: `ring` is called once, when the clock has passed `at` (monotonic seconds)."""

    __slots__ = ("_alarms", "at", "ring")

    def __init__(self, alarms: "set[Alarm]", at: float, ring: Callable[[], None]) -> None:
        self.at = at
        self.ring = ring
        self._alarms = alarms
        alarms.add(self)

    def cancel(self) -> None:
        """Never rings after this; idempotent. Lets go of what it would have called, which mostly holds the alarm."""
        self._alarms.discard(self)
        self.ring = _silent


class Timeout:
    """Turns a deadline into a `TimeoutError` in the task that entered it, as `asyncio.timeout` does.

    `at` may be moved at any time; NEVER lifts it.
    """

    __slots__ = ("_alarms", "_cancelling", "_expired", "_task", "alarm")

    def __init__(self, alarms: set[Alarm], at: float) -> None:
        self._alarms = alarms
        self.alarm = Alarm(alarms, at, self._ring)
        self._expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a Timeout belongs to a task")
        self._task = task
        self._cancelling = task.cancelling()
        return self

    def _ring(self) -> None:
        self._expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.alarm.cancel()
        # A cancellation by somebody else wins: only when ours is the one that is left does it become a timeout.
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class Sweeper:
    """Rings alarms. `run` is the one task behind them; whoever starts it, owns it.

    A ring that raises is reported, and all others ring: they belong to other streams. Anything else that goes wrong in
    a sweep ends it, and with it the process (G8): without its deadlines nothing here can be trusted to end.
    """

    def __init__(self, clock: Clock, tick: float = 0.1, defects: Defects = LOGGED_DEFECTS) -> None:
        self._clock = clock
        self._defects = defects
        self._tick = tick
        self._alarms: set[Alarm] = set()
        self._lag = 0.0

    def alarm(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        """An alarm that rings in `seconds`. `ring` must not block; what it raises is reported, and it rings no more."""
        return Alarm(self._alarms, self._clock.monotonic() + seconds, ring)

    def timeout(self, seconds: float) -> Timeout:
        """A context manager that raises `TimeoutError` in its task after `seconds`; move `alarm.at` to extend it."""
        return Timeout(self._alarms, self._clock.monotonic() + seconds)

    async def run(self) -> None:
        """Sweeps until it is cancelled."""
        while True:
            due = self._clock.monotonic() + self._tick
            await self._clock.sleep(self._tick)
            self._lag = max(self._lag, self._clock.monotonic() - due)
            self.sweep()

    def take_lag(self) -> float:
        """The most seconds by which a sweep was late since this was last asked: how long the event loop was held up."""
        lag, self._lag = self._lag, 0.0
        return lag

    def sweep(self) -> None:
        """Rings all that are due."""
        now = self._clock.monotonic()
        for alarm in [alarm for alarm in self._alarms if alarm.at <= now]:
            ring = alarm.ring
            alarm.cancel()
            try:
                ring()
            except CALLBACK_ERRORS as error:
                self._defects.report(Where.ALARM, error)

    def __len__(self) -> int:
        return len(self._alarms)
