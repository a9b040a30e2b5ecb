"""The clock of this machine."""

import asyncio
import time

from ports.clock import Clock


class SystemClock(Clock):
    """Real time."""

    def monotonic(self) -> float:
        """Seconds since some moment in the past, on the clock that is never set."""
        return time.monotonic()

    def time(self) -> float:
        """Unix time, as this machine has it."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Sleeps in the running event loop."""
        await asyncio.sleep(seconds)
