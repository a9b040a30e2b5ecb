"""What runs beside the requests, in a server and in a worker: started together, ended in the right order."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from container import Container


@asynccontextmanager
async def running(container: Container) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The fleet, the sweeper, the admission and the watchdog of this process; at the end no generation is left.

    Gives the tasks that none but this ends: one that is done before has a defect.
    """
    # Before the fleet is heard: who is told of a slot must be there.
    fleet, generations = container.fleet(), container.generations()
    if fleet is not None:
        await fleet.start()
    tasks = [begin(container.sweeper().run(), "sweeper"), begin(container.admission().run(), "admission")]
    try:
        with container.watchdog():
            yield tasks
    finally:
        await generations.aclose()
        if fleet is not None:
            await fleet.aclose()
        for provider in container.llm_providers().values():
            await provider.aclose()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tracing = container.tracing()
        if tracing is not None:
            await asyncio.to_thread(tracing.close)


def begin(work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    """A task that is to run until it is cancelled."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: "asyncio.Task[None]") -> None:
    """None of them ends by itself: if one does, it is heard of now, not when the process ends."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": f"the {task.get_name()} has a defect", "exception": error})
