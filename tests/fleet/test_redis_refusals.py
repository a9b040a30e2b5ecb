"""A Redis that is there and refuses: no memory, no disk, no scripts, no room. Requests are served all the same."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fleet.footprint import returns_to_rest
from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import call
from tests.fleet.outage import under_load, until_redis_serves
from tests.fleet.readers import blocks, whole_log
from tests.redis_server import RedisServer

TOKENS = 50


@pytest.fixture(scope="module")
def replicas() -> Iterator[Fleet]:
    """With a pool that is often empty: one of its two connections is taken by the blocking read (fault 12)."""
    pool = {"REDIS_POOL_MIN": "1", "REDIS_POOL_MAX": "2"}
    with RedisServer() as redis, running_fleet(redis, environ=pool) as fleet:
        yield fleet


@pytest.fixture
async def refused(replicas: Fleet) -> AsyncIterator[Fleet]:
    async with returns_to_rest(replicas, pool_min=1):
        yield replicas


async def as_before(fleet: Fleet, rng: random.Random) -> None:
    """All is well again: replicas are ready, streams go over them, equal requests share a call."""
    await until_redis_serves(fleet)

    async def shared() -> bool:
        before = (await fleet.seen("ok-slow"))["requests"]
        body = {"model": "openai/ok-slow", "prompt": f"again {rng.random()}", "max_tokens": 5}
        told = await asyncio.gather(*(call(fleet.url(n), "POST", "/v1/streams", body) for n in range(3)))
        return (await fleet.seen("ok-slow"))["requests"] == before + 1 and len({tuple(blocks(b)) for _, b in told}) == 1

    await eventually(shared)


async def test_no_memory_s14_16_12(refused: Fleet, rng: random.Random) -> None:
    """Faults 16 and 12: attached streams end whole, with the log or without it."""

    async def fill() -> None:
        await refused.redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await refused.redis.command("CONFIG", "SET", "maxmemory", "1mb")
        assert (await refused.redis.command("SET", "headgate:test", "x")).startswith("-OOM")
        await asyncio.sleep(0.5)
        await refused.redis.command("CONFIG", "SET", "maxmemory", "0")

    load = await under_load(refused, rng, TOKENS, fill)
    load.check_attached()
    await as_before(refused, rng)
    for here, there in zip(load.attached, load.elsewhere, strict=True):
        assert there.events == here.events == await whole_log(refused.url(0), here.stream_id)


async def test_no_disk_s14_17(refused: Fleet, rng: random.Random) -> None:
    """Fault 17: MISCONF, from a snapshot that failed."""
    redis = refused.redis

    async def refuse() -> None:
        await redis.command("CONFIG", "SET", "save", "3600 1")
        redis.block_snapshots()
        await redis.command("BGSAVE")

        async def refuses() -> bool:
            return (await redis.command("SET", "headgate:test", "x", "PX", 1)).startswith("-MISCONF")

        await eventually(refuses)
        await asyncio.sleep(0.3)
        await redis.command("CONFIG", "SET", "save", "")

    load = await under_load(refused, rng, TOKENS, refuse)
    load.check_attached()
    await as_before(refused, rng)


async def test_scripts_are_flushed_in_a_loop_s14_18(refused: Fleet, rng: random.Random) -> None:
    """Fault 18: nobody notices."""

    async def flush() -> None:
        for _ in range(100):
            await refused.redis.command("SCRIPT", "FLUSH")
            await asyncio.sleep(0.005)

    load = await under_load(refused, rng, TOKENS, flush)
    load.check_attached()
    for here, there in zip(load.attached, load.elsewhere, strict=True):
        assert there.events == here.events == await whole_log(refused.url(0), here.stream_id)
    await as_before(refused, rng)


async def test_no_room_for_clients_s14_20(refused: Fleet, rng: random.Random) -> None:
    """Fault 20: some replicas get connections, some do not; none stops serving."""

    async def crowd() -> None:
        async with refused.redis.session() as command:
            await command("CONFIG", "SET", "maxclients", "5")
            await command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(0.7)
            await command("CONFIG", "SET", "maxclients", "10000")

    load = await under_load(refused, rng, TOKENS, crowd)
    load.check_attached()
    await as_before(refused, rng)
