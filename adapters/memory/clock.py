"""The clock of this machine."""

import asyncio
import time

from ports.clock import Clock


class SystemClock(Clock):
    """Real time."""

    # Not wrapped: twenty calls of a request, two of each event.
    monotonic = staticmethod(time.monotonic)  # pyright: ignore[reportAssignmentType]
    time = staticmethod(time.time)  # pyright: ignore[reportAssignmentType]

    async def sleep(self, seconds: float) -> None:
        """Sleeps in the running event loop."""
        await asyncio.sleep(seconds)
