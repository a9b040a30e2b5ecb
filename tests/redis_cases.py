"""Redis clients for tests: a short way to open one, and a way to let time pass for the keys of a server."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from adapters.redis.client import RedisClient
from adapters.redis.connection import Connector
from adapters.redis.errors import RedisClientError, RedisUnavailableError
from adapters.redis.group_commit import GroupCommit
from adapters.redis.resp import Argument, Reply
from adapters.redis.script import Script
from tests.loop_time import loop_time

_LATER = Script(
    "later",
    """
    for _, key in ipairs(redis.call('KEYS', '*')) do
        local left = redis.call('PTTL', key)
        if left >= 0 then redis.call('PEXPIRE', key, math.max(left - tonumber(ARGV[1]), 0)) end
        if redis.call('TYPE', key).ok == 'hash' and redis.call('HEXISTS', key, 'lease') == 1 then
            redis.call('HINCRBY', key, 'lease', -ARGV[1])
        end
    end
    """,
)


def untimed(stage: str, name: str) -> contextlib.AbstractContextManager[object]:
    """A timing that does not time."""
    return contextlib.nullcontext()


def unheard(serves: bool, reason: str) -> None:
    """Nobody listens to whether Redis serves."""


@contextlib.asynccontextmanager
async def redis_client(
    connect: Connector,
    *,
    pool_min: int = 0,
    pool_max: int = 200,
    max_commands: int = 10_000,
    kind: type[RedisClient] = RedisClient,
) -> AsyncIterator[RedisClient]:
    """A client that has started, on an empty database, if there is a server."""
    client = kind(connect, untimed, unheard, pool_min=pool_min, pool_max=pool_max, max_commands=max_commands)
    await client.start()
    try:
        if client.healthy:
            await client.execute("FLUSHDB", timeout=5.0)
        yield client
    finally:
        await client.aclose()


async def seconds_to_fail(client: RedisClient, timeout: float = 0.1) -> float:
    """How long a command takes to fail where there is no Redis."""
    async with loop_time() as passed:
        with pytest.raises(RedisUnavailableError):
            await client.execute("GET", "a", timeout=timeout, read=True)
    return passed.seconds


class Patient(RedisClient):
    """Has time, for suites in which a busy machine must not look like a dead Redis."""

    def _lane(self, down: Callable[[], RedisClientError | None], wait: float, /, *bounds: int) -> GroupCommit:
        return super()._lane(down, 5.0, *bounds)

    async def execute(self, *args: Argument, timeout: float = 5.0, read: bool = False) -> Reply:
        """As any client's."""
        return await super().execute(*args, timeout=5.0, read=read)

    async def execute_bulk(self, *args: Argument, timeout: float = 5.0, read: bool = False) -> Reply:
        """As any client's."""
        return await super().execute_bulk(*args, timeout=5.0, read=read)

    async def evalsha(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Argument] = (),
        *,
        timeout: float = 5.0,
        read: bool = False,
    ) -> Reply:
        """As any client's."""
        return await super().evalsha(script, keys, args, timeout=5.0, read=read)


async def later(client: RedisClient, seconds: float) -> None:
    """Takes so much from the life of every key and every lease, as if that time had passed."""
    await client.evalsha(_LATER, (), [round(seconds * 1000)], timeout=5.0)
