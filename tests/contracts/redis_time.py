"""A Redis whose time stands still for our scripts, so that what they decide can be compared exactly."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from adapters.redis.client import HOT_SECONDS
from adapters.redis.connection import Connector
from adapters.redis.errors import RedisUnavailableError
from adapters.redis.resp import Argument, Reply
from adapters.redis.script import Script
from tests.redis_cases import Patient, later, unheard, untimed
from tests.service import until

NOW = "test:now"
START_US = 1_800_000_000_000_000
SECOND_US = 1_000_000
CONNECTIONS = 4


class StillRedisClient(Patient):
    """Runs our scripts with the time that the key `NOW` holds. `advance` moves it, and what Redis would expire."""

    now_us = START_US
    lose_replies = 0
    """So many of the next scripts run, and nobody hears of it."""

    async def evalsha(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Argument] = (),
        *,
        timeout: float = HOT_SECONDS,
        read: bool = False,
    ) -> Reply:
        reply = await super().evalsha(still(script), keys, args, timeout=timeout, read=read)
        if self.lose_replies:
            self.lose_replies -= 1
            raise RedisUnavailableError("CONNECTION", maybe_executed=True)
        return reply

    async def set_time(self, now_us: int) -> None:
        self.now_us = now_us
        await self.execute("DEL", NOW, timeout=5.0)
        await self.execute("RPUSH", NOW, now_us // SECOND_US, now_us % SECOND_US, timeout=5.0)

    async def advance(self, seconds: float) -> None:
        await later(self, seconds)
        await self.set_time(self.now_us + round(seconds * SECOND_US))


def still(script: Script) -> Script:
    """The script with the time of the key; without its first line, which fakeredis does not know."""
    text = script.text.decode()
    if text.startswith("#!"):
        text = text.partition("\n")[2]
    return Script(script.name, text.replace("redis.call('TIME')", f"redis.call('LRANGE', '{NOW}', 0, 1)"))


@contextlib.asynccontextmanager
async def still_client(connect: Connector) -> AsyncIterator[StillRedisClient]:
    """One that has started, on an empty database, with as many connections as its lanes may want at once: on a busy
    machine to connect takes longer than a command may wait for that."""
    client = StillRedisClient(connect, untimed, unheard, pool_min=CONNECTIONS)
    await client.start()
    try:
        await until(lambda: client.connections >= CONNECTIONS)
        await client.execute("FLUSHDB", timeout=5.0)
        await client.set_time(START_US)
        yield client
    finally:
        await client.aclose()
