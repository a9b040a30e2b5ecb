"""The Redis client over a network that fails: silence, resets, lost replies, delays, replies in pieces."""

import asyncio

import pytest
import uvloop

from adapters.redis.client import RedisClient
from adapters.redis.connection import RedisConnection, abort, connector
from adapters.redis.errors import RedisTimeoutError, RedisUnavailableError
from tests.redis_cases import redis_client, seconds_to_fail, unheard, untimed
from tests.redis_proxy import Proxy
from tests.redis_server import RedisServer
from tests.service import until

SLACK = 0.1
"""Seconds that a busy machine may add to a time that is measured here."""


async def back(client: RedisClient) -> None:
    await until(lambda: client.healthy, 4.0)
    assert await client.execute("PING") == b"PONG"


async def test_a_connection_that_falls_silent_is_found_out(proxy: Proxy) -> None:
    """Fault 6: half-open TCP; found by the deadline, and all connections replaced."""
    async with redis_client(connector(proxy.url), pool_min=3) as client:
        await until(lambda: client.connections == 3)
        proxy.silent = True
        assert await seconds_to_fail(client) < 0.1 + SLACK
        await until(lambda: not client.healthy, 2.0)
        assert client.connections == 0
        proxy.silent = False
        before = client.connects
        await back(client)
        assert client.connects > before


def test_a_connection_that_was_closed_a_moment_ago_is_unavailable_on_uvloop_too(server: RedisServer) -> None:
    """Fault 7, as uvloop has it: a write to a socket that has closed is a RuntimeError there, not an OSError."""

    async def case() -> None:
        made: list[RedisConnection] = []

        def connect() -> RedisConnection:
            made.append(connector(server.url)())
            return made[-1]

        async with redis_client(connect) as client, client.dedicated() as dedicated:
            for connection in made:
                abort(connection)
            for _ in range(3):  # rounds of the loop, in which the transports close
                await asyncio.sleep(0)
            with pytest.raises(RedisUnavailableError):
                await dedicated.execute("PING", timeout=1.0)
            await back(client)

    uvloop.run(case())


async def test_reads_survive_a_reset_and_writes_are_not_repeated(proxy: Proxy) -> None:
    """Fault 7: one retry, for reads alone, 0 wrong values."""
    async with redis_client(connector(proxy.url), pool_min=1) as client:
        await client.execute("SET", "a", "value")
        proxy.silent = True
        sent = client.round_trips
        reads = [asyncio.create_task(client.execute("GET", "a", timeout=1.0, read=True)) for _ in range(20)]
        write = asyncio.create_task(client.execute("INCR", "n", timeout=1.0))
        await until(lambda: client.round_trips > sent)
        proxy.silent = False
        proxy.reset()
        assert await asyncio.gather(*reads) == [b"value"] * 20
        with pytest.raises(RedisUnavailableError) as raised:
            await write
        assert raised.value.maybe_executed
        assert await client.execute("GET", "n") is None
        assert client.healthy


async def test_a_write_whose_reply_is_lost_is_done_once(proxy: Proxy) -> None:
    """Fault 8: an INCR that was executed and not answered is not sent again, and the caller is told."""
    async with redis_client(connector(proxy.url)) as client:
        await client.execute("SET", "n", 0)
        for expected in range(1, 6):
            proxy.lose_replies = True
            with pytest.raises(RedisUnavailableError) as raised:
                await client.execute("INCR", "n")
            assert raised.value.maybe_executed
            proxy.lose_replies = False
            await back(client)
            assert await client.execute("GET", "n") == b"%d" % expected


async def test_a_read_whose_connection_is_lost_twice_fails(proxy: Proxy) -> None:
    async with redis_client(connector(proxy.url)) as client:
        proxy.lose_replies = True
        assert await seconds_to_fail(client, timeout=0.5) < 0.3
        assert client.connects <= 4


async def exact(client: RedisClient) -> None:
    """Each reply belongs to its command, and each write was done once."""
    for _ in range(5):
        await client.execute("SET", "n", 0, timeout=5.0)
        counts = [client.execute("INCR", "n", timeout=5.0) for _ in range(200)]
        echoes = [client.execute_bulk("ECHO", f"{one}-" + "x" * one * 10, timeout=5.0) for one in range(50)]
        done = await asyncio.gather(*counts, *echoes)
        assert done[:200] == list(range(1, 201))
        assert done[200:] == [b"%d-" % one + b"x" * one * 10 for one in range(50)]


async def test_a_slow_network_changes_no_result(proxy: Proxy) -> None:
    """Fault 9: replies are 0-100 ms late; what is later than a command's deadline is not used for another."""
    # As many connections as the lanes use at once: making one takes longer than the 50 ms that anybody waits for it.
    async with redis_client(connector(proxy.url), pool_min=6) as client:
        await until(lambda: client.connections == 6)
        proxy.delay = 0.05
        await exact(client)
        proxy.delay = 0.15
        late = await asyncio.gather(*(client.execute("ECHO", "late") for _ in range(20)), return_exceptions=True)
        assert {one if isinstance(one, bytes) else type(one) for one in late} <= {b"late", RedisTimeoutError}
        proxy.delay = 0.0
        await back(client)
        await until(lambda: client.connections == 6)
        await exact(client)


async def test_replies_in_slices_of_one_byte_change_no_result(proxy: Proxy) -> None:
    """Fault 10."""
    async with redis_client(connector(proxy.url)) as client:
        proxy.slices = True
        await exact(client)
        assert client.healthy


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*3\r\n", b":1\r\n:2\r\n", b"$-7\r\n", b"+\xff\r\n"]
)
@pytest.mark.parametrize("scheme", ["redis://{}/0", "redis+sentinel://{}/main"])
async def test_what_answers_is_no_redis(reply: bytes, scheme: str) -> None:
    """Something else listens at the address: that is an error within the usual time, and leaves nothing behind."""
    tasks = asyncio.all_tasks()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_000):
            writer.write(reply)
        writer.close()

    stranger = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with stranger:
        url = scheme.format(f"127.0.0.1:{stranger.sockets[0].getsockname()[1]}")
        async with asyncio.timeout(3.0):
            client = RedisClient(connector(url), untimed, unheard, pool_min=2)
            await client.start()
            assert isinstance(client.failure, RedisUnavailableError)
            assert await seconds_to_fail(client) < SLACK
            await client.aclose()
        await until(lambda: asyncio.all_tasks() == tasks)
