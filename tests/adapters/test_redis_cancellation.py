"""Cancelled at any await, a Redis client gives nobody another's reply (fault 11).

HEADGATE_STORM_OPERATIONS sets how many operations: 20,000 unless told otherwise.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable, Iterator

import pytest

from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.errors import RedisClientError
from adapters.redis.script import Script
from tests.redis_cases import redis_client
from tests.redis_proxy import proxy_to
from tests.redis_server import RedisServer
from tests.service import until

OPERATIONS = int(os.environ.get("HEADGATE_STORM_OPERATIONS", "20000"))
CALLERS = 100
ECHO = Script("echo", "return ARGV[1]")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def ask_on_own_connection(client: RedisClient, text: str) -> object:
    async with client.dedicated() as own:
        return await own.execute("ECHO", text, timeout=5.0)


def ask(client: RedisClient, choice: random.Random, text: str, large: int) -> Awaitable[object]:
    """One of the ways to have a text sent back, small or large."""
    way = choice.randrange(20)
    if way == 0:
        return ask_on_own_connection(client, text)
    if way < 4:
        return client.execute_bulk("ECHO", text + "," + "x" * choice.choice((10, large)), timeout=5.0)
    if way < 8:
        return client.evalsha(ECHO, [], [text], timeout=5.0)
    return client.execute("ECHO", text, timeout=5.0, read=choice.random() < 0.5)


async def storm(client: RedisClient, operations: int, large: int) -> Counter[str]:
    """Callers that ask and leave at random moments; what became of each operation."""
    outcomes: Counter[str] = Counter()

    async def caller(number: int) -> None:
        choice = random.Random(number)
        for step in range(operations // CALLERS):
            text = f"{number}-{step}"
            asking = asyncio.ensure_future(ask(client, choice, text, large))
            if choice.random() < 0.6:
                for _ in range(choice.randrange(8)):
                    await asyncio.sleep(0)
                if choice.random() < 0.3:
                    await asyncio.sleep(choice.random() * 0.002)
                asking.cancel()
            try:
                reply = await asking
            except asyncio.CancelledError:
                outcomes["cancelled"] += 1
            except RedisClientError as error:
                outcomes[error.word] += 1
            else:
                own = isinstance(reply, bytes) and reply.decode().partition(",")[0] == text
                outcomes["own" if own else "wrong"] += 1

    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    return outcomes


async def test_a_storm_of_cancellations_gives_no_wrong_reply(server: RedisServer) -> None:
    """Fault 11: at every await, thousands of times."""
    tasks = asyncio.all_tasks()
    async with redis_client(connector(server.url), pool_min=10, pool_max=CALLERS) as client:
        outcomes = await storm(client, OPERATIONS, large=20_000)
        assert outcomes["wrong"] == 0
        assert outcomes.total() == OPERATIONS
        # A machine that stands still may let somebody wait 50 ms for a connection of their own.
        assert outcomes["own"] + outcomes["cancelled"] + outcomes["NO_CONNECTION"] == OPERATIONS
        assert outcomes["NO_CONNECTION"] < OPERATIONS // 100
        assert min(outcomes["own"], outcomes["cancelled"]) > OPERATIONS // 5  # the storm was one, and work got done
        assert [await client.execute("ECHO", number) for number in range(100)] == [b"%d" % one for one in range(100)]
        assert client.healthy
        await until(lambda: client.connections == client.idle >= 10)  # what was cut is made up for
        assert client.connections <= CALLERS
        assert await server.clients() == client.connections
    assert asyncio.all_tasks() == tasks
    assert await server.clients() == 0


async def test_a_storm_over_a_slow_network_gives_no_wrong_reply(server: RedisServer) -> None:
    """Faults 9-11 together: replies come late and one byte at a time while callers leave."""
    async with proxy_to(server.port) as proxy, redis_client(connector(proxy.url)) as client:
        proxy.delay, proxy.slices = 0.002, True
        outcomes = await storm(client, 2_000, large=200)
        proxy.delay, proxy.slices = 0.0, False
        assert outcomes["wrong"] == 0
        assert outcomes["own"] > 200
        assert await client.execute("ECHO", "mine") == b"mine"


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_after_any_number_of_turns(server: RedisServer, turns: int) -> None:
    """Its neighbours in the same pipeline get their own replies, and the connection stays."""
    async with redis_client(connector(server.url)) as client:
        neighbours = [asyncio.create_task(client.execute("ECHO", number)) for number in range(3)]
        victim = asyncio.create_task(client.execute("ECHO", "victim"))
        neighbours += [asyncio.create_task(client.execute("ECHO", number)) for number in range(3, 6)]
        for _ in range(turns):
            await asyncio.sleep(0)
        victim.cancel()
        await asyncio.wait([victim])
        assert [await one for one in neighbours] == [b"%d" % number for number in range(6)]
        assert await client.execute("ECHO", "after") == b"after"
        assert client.connects == 1
