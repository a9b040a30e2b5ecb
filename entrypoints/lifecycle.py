"""What runs beside the requests, in a server and in a worker: started together, ended in the right order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import Any

from container import Container
from domain.part import Part
from ports.defects import Defects, Wall, Where

STEP_SECONDS = 1.5
"""What one step of the end may take: what hangs, or is away, must not keep the others from their end."""


@asynccontextmanager
async def running(container: Container) -> AsyncIterator[None]:
    """The fleet, the sweeper, the admission and the watchdog of this process; at the end no generation is left.

    A part that ends before is told to the container's defects, and so is what nobody else catches in the event loop.
    """
    # Before the fleet is heard: who is told of a slot must be there.
    fleet, generations, defects = container.fleet(), container.generations(), container.defects()
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda loop, context: _uncaught(loop, context, defects))
    if fleet is not None:
        await fleet.start()
    parts = [
        Part(container.sweeper().run(), Where.SWEEPER, defects),
        Part(container.admission().run(), Where.ADMISSION, defects),
    ]
    try:
        with container.watchdog():
            yield
    finally:
        await _step(generations.aclose(), defects)
        if fleet is not None:
            await _step(fleet.aclose(), defects)
        await _step(container.model_catalogue().aclose(), defects)
        for provider in container.llm_providers().values():
            await _step(provider.aclose(), defects)
        for part in parts:
            await _step(part.aclose(), defects)
        tracing = container.tracing()
        if tracing is not None:
            await _step(_in_thread(tracing.close), defects)
        loop.set_exception_handler(before)


async def _step(work: Awaitable[None], defects: Defects) -> None:
    """One step of the end. One that raises, or hangs, is reported, and the next one comes."""
    with Wall(defects, Where.SHUTDOWN):
        async with asyncio.timeout(STEP_SECONDS):
            await work


async def _in_thread(work: Callable[[], None]) -> None:
    """Runs it in a thread that the end of the process does not wait for, as it does for those of `asyncio.to_thread`:
    a collector that is down may block it for half a minute."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        work()
        with suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(done.set)

    Thread(target=run, name="close", daemon=True).start()
    await done.wait()


def _uncaught(loop: asyncio.AbstractEventLoop, context: dict[str, Any], defects: Defects) -> None:
    """What a callback or a task that nobody waits for has raised. An `OSError` is the network's, and not a defect."""
    error = context.get("exception")
    if isinstance(error, Exception) and not isinstance(error, OSError):
        defects.report(Where.EVENT_LOOP, error)
    else:
        loop.default_exception_handler(context)
