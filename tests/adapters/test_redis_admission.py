"""Admission with slots and queue on Redis: what comes free elsewhere is at once that of who waits here (L6, Q8)."""

import asyncio
from collections.abc import Iterator

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.limiter import MemoryLimiter
from adapters.redis.admission_keys import HOLDERS
from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.queue import RedisMessageQueue
from adapters.redis.slots import RedisSlots
from domain.model import Tier
from domain.services.admission import Admission
from tests.jobs import job
from tests.redis_cases import Patient, redis_client
from tests.redis_server import any_redis_url


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with any_redis_url() as url:
        yield url


def admission(client: RedisClient, process: str, total: int, each: int, depth: int = 100) -> Admission:
    """Of one process; nothing looks by itself, but when it is told to."""
    clock, tier = SystemClock(), Tier(60, 6000, each)
    queue = RedisMessageQueue(client, process, depth, depth, total, 60.0)
    slots = RedisSlots(client, clock, total, lambda _: each)
    return Admission(clock, MemoryLimiter(clock, {}), slots, queue, lambda _: tier, wait=60.0)


@pytest.mark.parametrize(("total", "each"), [(1, 10), (10, 1)], ids=["in all", "of the caller"])
async def test_a_slot_that_comes_free_just_after_a_refusal_is_had_at_once_l6(url: str, total: int, each: int) -> None:
    """Nothing that this process has just heard of the slots keeps it from one that it is told of."""
    async with redis_client(connector(url), kind=Patient) as client:
        here, there = (admission(client, name, total, each) for name in ("here", "there"))
        holder = await there.enter(job("a", "s0"))
        waits = await here.enter(job("a", "s1"))
        assert not waits.granted.done()
        await there.leave(holder)
        here.poke()
        async with asyncio.timeout(5.0):
            await waits.granted
        assert await client.execute("ZCARD", HOLDERS) == 1
        await here.leave(waits)
        assert await client.execute("ZCARD", HOLDERS) == 0
