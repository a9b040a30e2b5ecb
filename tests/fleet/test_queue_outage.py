"""Redis goes, or loses its data, while clients wait in the line: each is served once, new ones hear why not (Q9)."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import call
from tests.fleet.outage import until_redis_serves
from tests.fleet.readers import StreamReader
from tests.fleet.worker import count
from tests.redis_server import RedisServer

SLOTS, WAITING = 2, 3
HERE = 0
REJOINED = 5.0
"""Seconds: the line is looked at each two."""


@pytest.fixture
def narrow() -> Iterator[Fleet]:
    environ = {"STREAM_MAX_CONCURRENT": str(SLOTS), "CACHE_ENABLED": "false"}
    with RedisServer() as redis, running_fleet(redis, count=2, environ=environ) as fleet:
        yield fleet


async def in_line(fleet: Fleet) -> int:
    return await count(fleet, "HLEN", "headgate:queue:messages")


@contextlib.asynccontextmanager
async def waiting_clients(fleet: Fleet, rng: random.Random, tokens: int) -> AsyncIterator[None]:
    """All slots are taken by answers of that many tokens, and clients wait behind them; at the end each has its own."""
    tag = rng.random()
    async with contextlib.AsyncExitStack() as open_streams:
        readers: list[StreamReader] = []
        reading: list[asyncio.Task[None]] = []
        for number in range(SLOTS + WAITING):
            length = tokens if number < SLOTS else 20
            reader = StreamReader()
            answer = await open_streams.enter_async_context(
                fleet.start(HERE, f"outage {tag} {number}", max_tokens=length)
            )
            readers.append(reader)
            reading.append(asyncio.create_task(reader.take(answer)))

        async def all_wait() -> bool:
            return await in_line(fleet) == WAITING

        await eventually(all_wait)
        yield
        async with asyncio.timeout(60):
            await asyncio.gather(*reading)
    for reader in readers:
        reader.check()
        assert b"event: complete" in reader.terminal
        assert reader.raw.count(b'"state":"started"') <= 1
    assert (await fleet.seen("ok-slow"))["requests"] == SLOTS + WAITING


async def test_the_data_is_lost_while_clients_wait_q9(narrow: Fleet, rng: random.Random) -> None:
    """Q9, fault 21: each is queued again once, and served once."""
    async with waiting_clients(narrow, rng, 300):
        await narrow.redis.command("FLUSHALL")
        assert await in_line(narrow) == 0

        async def rejoined() -> bool:
            return await in_line(narrow) == WAITING

        await eventually(rejoined, REJOINED)
        await asyncio.sleep(2.5)  # another look changes nothing
        assert await in_line(narrow) == WAITING


async def test_redis_is_killed_while_clients_wait_and_a_new_one_is_told_within_seconds_q9(
    narrow: Fleet, rng: random.Random
) -> None:
    """Q9, fault 2: 503 with Retry-After after a short wait; who waited before is queued again once Redis is back."""
    async with waiting_clients(narrow, rng, 500):
        narrow.redis.kill()
        began = time.monotonic()
        body = {"model": "openai/ok-slow", "prompt": f"new {rng.random()}", "max_tokens": 3}
        answer, told = await call(narrow.url(HERE), "POST", "/v1/streams", body)
        assert 1.0 < time.monotonic() - began < 5.0
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert b"queue_full" in told
        assert b"cannot be reached" in told
        await asyncio.to_thread(narrow.redis.start)
        await until_redis_serves(narrow, 5.0)

        async def rejoined() -> bool:
            return await in_line(narrow) == WAITING

        await eventually(rejoined, REJOINED)


async def test_without_redis_a_slot_that_comes_free_is_the_new_one_s_q9(narrow: Fleet, rng: random.Random) -> None:
    running = [
        await narrow.begin(HERE, f"running {rng.random()} {number}", max_tokens=tokens)
        for number, tokens in enumerate((60, 1000))
    ]
    narrow.redis.kill()
    body = {"model": "openai/ok-slow", "prompt": f"new {rng.random()}", "max_tokens": 3}
    answer, told = await call(narrow.url(HERE), "POST", "/v1/streams", body)
    assert answer.status == 200
    assert b"event: complete" in told
    for stream_id in running:
        await call(narrow.url(HERE), "DELETE", f"/v1/streams/{stream_id}")
