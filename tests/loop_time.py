"""Time as an event loop has it: what a busy machine takes from this process does not count."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

TICK = 0.005


class LoopTime:
    """Seconds in which the loop was free to run what is due, in whole ticks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def run(self) -> None:
        """Counts until it is cancelled. A process that is held up for a second has one tick in it, not 200."""
        while True:
            await asyncio.sleep(TICK)
            self.seconds += TICK


@contextlib.asynccontextmanager
async def loop_time() -> AsyncIterator[LoopTime]:
    """Counts while it is entered."""
    passed = LoopTime()
    ticking = asyncio.create_task(passed.run())
    try:
        yield passed
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
