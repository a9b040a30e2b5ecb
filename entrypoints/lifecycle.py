"""What runs beside the requests, in a server and in a worker: started together, ended in the right order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from container import Container


@asynccontextmanager
async def running(container: Container) -> AsyncIterator[None]:
    """The fleet, the sweeper and the admission of this process; at the end no generation is left."""
    # Before the fleet is heard: who is told of a slot must be there.
    fleet, generations = container.fleet(), container.generations()
    if fleet is not None:
        await fleet.start()
    tasks = [
        asyncio.create_task(container.sweeper().run(), name="sweeper"),
        asyncio.create_task(container.admission().run(), name="admission"),
    ]
    try:
        yield
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
