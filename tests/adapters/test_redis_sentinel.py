"""The Redis client finds the primary by way of real sentinels, and finds the next one after a failover (fault 14)."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.errors import RedisClientError
from adapters.redis.sentinel import parse_address
from tests.loop_time import loop_time
from tests.redis_cases import redis_client, unheard, untimed
from tests.redis_server import RedisServer, SentinelServer
from tests.service import until

BACK_SECONDS = 2.0


@pytest.fixture
def primary() -> Iterator[RedisServer]:
    with RedisServer() as primary:
        yield primary


@pytest.fixture
def replica(primary: RedisServer) -> Iterator[RedisServer]:
    with RedisServer("--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-sync-delay", "0") as replica:
        yield replica


@pytest.fixture
def sentinel(primary: RedisServer) -> Iterator[SentinelServer]:
    with SentinelServer(primary) as sentinel:
        yield sentinel


async def ready(sentinel: SentinelServer, replica: RedisServer) -> None:
    """It knows the replica, and the replica is in step."""
    async with asyncio.timeout(30.0):
        while (await replica.info("replication")).get("master_link_status") != "up" or (  # noqa: ASYNC110 - in other processes
            "slaves=1" not in (await sentinel.info("sentinel"))["master0"]
        ):
            await asyncio.sleep(0.05)


async def named(sentinel: SentinelServer, server: RedisServer) -> None:
    """It says that this server is the primary."""
    async with asyncio.timeout(20.0):
        while f":{server.port}," not in (await sentinel.info("sentinel"))["master0"]:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.01)


async def arrived(client: RedisClient, server: RedisServer) -> float:
    """Seconds until what the client writes is on that server."""
    started = time.perf_counter()
    async with asyncio.timeout(10.0):
        while await server.command("GET", "written") != "x":
            with contextlib.suppress(RedisClientError):
                await client.execute("SET", "written", "x")
            await asyncio.sleep(0.01)
    return time.perf_counter() - started


async def test_a_failover_that_an_operator_asks_for(
    primary: RedisServer, replica: RedisServer, sentinel: SentinelServer
) -> None:
    """Fault 14: the client writes to the new primary within 2 s, and does not stay with the old one.

    That one takes writes for ten seconds more, until the sentinel has made a replica of it.
    """
    await ready(sentinel, replica)
    async with redis_client(connector(sentinel.url), pool_min=4) as client:
        assert await client.execute("SET", "before", 1) == b"OK"
        assert await primary.command("GET", "before") == "1"
        await until(lambda: client.connections == 4)
        before = client.connects
        assert await sentinel.command("SENTINEL", "FAILOVER", "main") == "+OK"
        await named(sentinel, replica)
        assert await arrived(client, replica) < BACK_SECONDS
        assert await client.execute("GET", "before", read=True) == b"1"
        await until(lambda: client.connections == 4)
        assert client.connects - before <= 12


async def test_a_primary_that_is_killed(primary: RedisServer, replica: RedisServer, sentinel: SentinelServer) -> None:
    """Fault 14: the sentinels need their time to decide; after that the client needs no more than 2 s."""
    await ready(sentinel, replica)
    async with redis_client(connector(sentinel.url), pool_min=2) as client:
        primary.kill()
        await named(sentinel, replica)
        assert await arrived(client, replica) < BACK_SECONDS


async def test_a_replica_is_never_taken_for_the_primary(primary: RedisServer, sentinel: SentinelServer) -> None:
    """What the sentinels say may be of yesterday: reads would be, too."""
    await primary.command("REPLICAOF", "127.0.0.1", 1)
    async with redis_client(connector(sentinel.url)) as client:
        assert repr(client.failure) == "RedisUnavailableError('NO_PRIMARY')"


async def test_sentinels_that_are_dead_silent_or_know_nothing_are_passed_over(
    primary: RedisServer, sentinel: SentinelServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, RedisServer() as stranger:
        silent_port = silent.getsockname()[1]
        others = f"127.0.0.1:1,127.0.0.1:{silent_port},127.0.0.1:{stranger.port}"
        async with redis_client(connector(f"redis+sentinel://{others},127.0.0.1:{sentinel.port}/main/3")) as client:
            assert await client.execute("SET", "a", 1) == b"OK"
            assert (await primary.info("keyspace"))["db3"].startswith("keys=1,")
        nobody = RedisClient(connector(f"redis+sentinel://{others}/main"), untimed, unheard)
        async with loop_time() as passed:
            await nobody.start()
        assert repr(nobody.failure) == "RedisUnavailableError('NO_PRIMARY')"
        assert passed.seconds < 1.0
        await nobody.aclose()


async def test_a_service_that_no_sentinel_knows(sentinel: SentinelServer) -> None:
    async with redis_client(connector(f"redis+sentinel://127.0.0.1:{sentinel.port}/other")) as client:
        assert repr(client.failure) == "RedisUnavailableError('NO_PRIMARY')"


async def test_a_sentinel_is_no_redis(sentinel: SentinelServer) -> None:
    """`redis://` with the address of a sentinel."""
    async with redis_client(connector(host="127.0.0.1", port=sentinel.port)) as client:
        assert repr(client.failure) == "RedisUnsupportedError('SENTINEL')"


async def test_the_credentials_are_those_of_the_primary(primary: RedisServer, sentinel: SentinelServer) -> None:
    await primary.command("ACL", "SETUSER", "ann", "on", ">p:w@d", "+@all", "~*")
    await primary.command("ACL", "SETUSER", "default", "off")
    address = f"127.0.0.1:{sentinel.port}/main"
    async with redis_client(connector(f"redis+sentinel://ann:p%3Aw%40d@{address}")) as client:
        assert client.healthy
    async with redis_client(connector(f"redis+sentinel://ann:wrong@{address}")) as client:
        assert "Authentication" in repr(client.failure)


def test_addresses() -> None:
    full = parse_address("redis+sentinel://u:p%40@a:1,[::1]:2/main/3")
    assert full == ([("a", 1), ("::1", 2)], "main", {"username": "u", "password": "p@", "db": 3})
    assert parse_address("redis+sentinel://a:1/main").options == {"username": None, "password": None, "db": 0}
    for wrong in ("a:1", "a/main", "a:1,/main", "a:x/main", "a:1/main/x", "/main"):
        with pytest.raises(ValueError):
            connector(f"redis+sentinel://{wrong}")
