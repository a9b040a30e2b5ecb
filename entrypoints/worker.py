"""`headgate worker`: serves what waits in the queue of the fleet, and has no door of its own."""

import asyncio
import signal
import time
from types import FrameType

from container import Container
from domain.errors import ConfigurationError
from entrypoints.last_resort import STUCK, LastResort
from entrypoints.lifecycle import running
from entrypoints.signals import STOPPING, Hangup
from ports.defects import Wall, Where

LOOK_SECONDS = 0.1


class _Told:
    """How often it was told to go. Counted in the signal's handler, as the event loop may be stuck: the last resort
    must be armed all the same."""

    def __init__(self, drain_timeout: float, last_resort: LastResort) -> None:
        self.times = 0
        self._drain_timeout = drain_timeout
        self._last_resort = last_resort

    def handle(self, _signal: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
        """The handler; also called where a part has ended by a defect."""
        self.times += 1
        self._last_resort.arm(self._drain_timeout if self.times == 1 else 0.0)


async def work(container: Container, drain_timeout: float, last_resort: LastResort, hangup: Hangup) -> int:
    """Works until SIGTERM or SIGINT, or until a part of it has ended by a defect; then takes nothing new, and ends when
    what runs has ended or the time is over. A second signal ends the drain at once.

    Returns the exit status, which is not 0 after a defect. Raises `ConfigurationError` if there is no Redis to be a
    fleet on.
    """
    fleet, defects = container.fleet(), container.defects()
    if fleet is None:
        raise ConfigurationError("REDIS_URL: not set; a worker serves the queue of a fleet, which is in Redis")
    told = _Told(drain_timeout, last_resort)
    for number in STOPPING:
        signal.signal(number, told.handle)
    async with running(container):
        fleet.enlist()
        # Looks by itself, not by the clock and the sweeper of the service: either may be what has the defect.
        while not told.times:
            await asyncio.sleep(LOOK_SECONDS)
            hangup.look()
            if defects.broken is not None:
                told.handle()
        deadline = time.monotonic() + drain_timeout
        with Wall(defects, Where.SHUTDOWN):
            container.admission().retire()
        generations = container.generations()
        while len(generations) and told.times < 2 and time.monotonic() < deadline:  # noqa: ASYNC110 - a handler tells
            await asyncio.sleep(LOOK_SECONDS)
    return 0 if defects.broken is None else STUCK
