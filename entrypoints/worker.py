"""`headgate worker`: serves what waits in the queue of the fleet, and has no door of its own."""

import asyncio
import signal

from container import Container
from domain.errors import ConfigurationError
from entrypoints.lifecycle import running

LOOK_SECONDS = 0.1


async def work(container: Container, drain_timeout: float) -> None:
    """Works until SIGTERM or SIGINT; then takes nothing new, and ends when what runs has ended or the time is over.

    A second signal ends the drain at once. Raises `ConfigurationError` if there is no Redis to be a fleet on.
    """
    fleet = container.fleet()
    if fleet is None:
        raise ConfigurationError("REDIS_URL: not set; a worker serves the queue of a fleet, which is in Redis")
    loop, stop, now = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def told() -> None:
        (now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    async with running(container):
        fleet.enlist()
        await stop.wait()
        container.admission().retire()
        generations = container.generations()
        with container.sweeper().timeout(drain_timeout):
            while len(generations) and not now.is_set():
                await container.clock().sleep(LOOK_SECONDS)
