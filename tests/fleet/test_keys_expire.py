"""Streams leave no key behind: all that they wrote is gone one retention after their end (S13)."""

import asyncio
import random

from tests.fleet.harness import eventually, running_fleet
from tests.fleet.readers import whole_log
from tests.redis_server import RedisServer

RETENTION = 2


async def test_the_database_is_as_large_as_before_after_the_retention_s13(rng: random.Random) -> None:
    environ = {"STREAM_RETENTION": str(RETENTION), "CACHE_TTL_SECONDS": "1"}
    with RedisServer() as redis, running_fleet(redis, count=2, environ=environ) as fleet:

        async def use() -> None:
            streams = [await fleet.begin(n, f"expire {n}", "ok", max_tokens=3) for n in range(10)]
            await asyncio.gather(*(whole_log(fleet.url(n + 1), stream) for n, stream in enumerate(streams)))
            cut = await fleet.begin(0, "expire cut", "no-finish", max_tokens=3)
            assert b"event: error" in (await whole_log(fleet.url(1), cut))[-1]

        async def size() -> int:
            return int((await redis.command("DBSIZE")).removeprefix(":"))

        await use()

        async def as_before() -> bool:
            return await size() <= 1 + len(fleet.replicas)  # the secret, and a key of each process

        assert not await as_before()
        await eventually(as_before, RETENTION + 3)
