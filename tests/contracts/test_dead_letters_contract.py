"""The contract of the port of the dead letters; and its adapters, fresh."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeAlias

import pytest
from fakeredis import FakeServer
from fakeredis.aioredis import FakeRedis

from adapters.memory.dead_letters import MemoryDeadLetters
from adapters.redis.admission_keys import DEAD
from adapters.redis.connection import Connector, connector
from adapters.redis.dead_letters import KEPT_MS, RedisDeadLetters
from adapters.redis.job_codec import MAX_JOB_BYTES
from domain.errors import QueueError
from domain.jobs import DeadLetter
from ports.dead_letters import DeadLetters
from tests import jobs
from tests.contracts.redis_time import still_client
from tests.redis_cases import Patient, redis_client
from tests.redis_server import RedisServer

OpenLetters: TypeAlias = Callable[[], AbstractAsyncContextManager[DeadLetters]]
MOST = 25


@asynccontextmanager
async def memory_letters() -> AsyncIterator[DeadLetters]:
    yield MemoryDeadLetters(MOST)


@asynccontextmanager
async def redis_letters(connect: Connector) -> AsyncIterator[DeadLetters]:
    async with redis_client(connect, kind=Patient) as client:
        yield RedisDeadLetters(client, MOST)


@asynccontextmanager
async def fakeredis_letters() -> AsyncIterator[DeadLetters]:
    fake = FakeRedis(server=FakeServer(), protocol=2).connection_pool
    async with redis_letters(fake.make_connection) as letters:
        yield letters


LETTERS: dict[str, OpenLetters] = {"memory": memory_letters, "fakeredis": fakeredis_letters}


@pytest.fixture(scope="session", params=[*LETTERS, "server"])
def open_letters(request: pytest.FixtureRequest) -> OpenLetters:
    if request.param == "server":
        return partial(redis_letters, connector(request.getfixturevalue("redis_url")))
    return LETTERS[request.param]


def letter(number: int) -> DeadLetter:
    return DeadLetter(jobs.job("acme", f"s{number}", "a prompt \ud800"), "provider_unavailable", 2, 1_760_000_000.5)


async def test_what_was_buried_is_listed_and_exhumed_once_q7(open_letters: OpenLetters) -> None:
    async with open_letters() as letters:
        assert list(await letters.list()) == []
        for number in range(3):
            await letters.bury(letter(number))
        assert list(await letters.list()) == [letter(0), letter(1), letter(2)]
        assert await letters.find("s1") == letter(1)
        assert await letters.exhume("s1") == letter(1)
        assert await letters.exhume("s1") is None
        assert await letters.find("s1") is None
        assert list(await letters.list()) == [letter(0), letter(2)]


async def test_the_oldest_make_room(open_letters: OpenLetters) -> None:
    async with open_letters() as letters:
        for number in range(MOST + 3):
            await letters.bury(letter(number))
        kept = await letters.list()
        assert len(kept) == MOST
        assert "s0" not in {one.job.stream_id for one in kept}


async def test_they_are_kept_for_a_day_and_what_cannot_be_read_is_left_out(redis_url: str) -> None:
    async with still_client(connector(redis_url)) as client:
        letters = RedisDeadLetters(client)
        await letters.bury(letter(1))
        await letters.bury(DeadLetter(jobs.job("acme", "large", "x" * MAX_JOB_BYTES), "x", 1, 0.0))
        assert list(await letters.list()) == [letter(1)]
        await client.execute("HSET", DEAD, "s1", "rubbish", timeout=5.0)
        assert list(await letters.list()) == []
        assert await letters.exhume("s1") is None
        await letters.bury(letter(1))
        await client.advance(KEPT_MS / 1000 - 1)
        await letters.bury(letter(2))
        await client.advance(2)
        await letters.bury(letter(3))
        assert list(await letters.list()) == [letter(2), letter(3)]


async def test_without_redis_only_our_errors_come_out() -> None:
    with RedisServer() as server:
        async with redis_client(connector(server.url)) as client:
            letters = RedisDeadLetters(client)
            server.kill()
            await letters.bury(letter(1))
            with pytest.raises(QueueError):
                await letters.list()
            with pytest.raises(QueueError):
                await letters.exhume("s1")
            with pytest.raises(QueueError):
                await letters.find("s1")
