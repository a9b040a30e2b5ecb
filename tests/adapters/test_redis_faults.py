"""The Redis client when Redis fails: deadlines hold, a dead Redis costs nothing, and all is well again soon after."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.errors import (
    RedisAuthenticationError,
    RedisClientError,
    RedisRefusedError,
    RedisTimeoutError,
    RedisUnavailableError,
)
from adapters.redis.script import Script
from tests.loop_time import loop_time
from tests.redis_cases import redis_client, seconds_to_fail, untimed
from tests.redis_server import RedisServer
from tests.service import until

POOL = 10
BACK_SECONDS = 2.0
SLACK = 0.1
"""Seconds that a busy machine may add to a time that is measured here."""


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[RedisClient]:
    async with redis_client(connector(server.url), pool_min=POOL) as client:
        await until(lambda: client.connections == POOL)
        yield client


async def failing_costs_nothing(client: RedisClient) -> None:
    """A hundred failures together take no longer than one deadline."""
    assert sum([await seconds_to_fail(client) for _ in range(100)]) < SLACK


hold_up_the_loop = time.sleep


async def back(client: RedisClient) -> None:
    """Redis serves again, for this client, within the time that we promise."""
    await until(lambda: client.healthy, BACK_SECONDS)
    assert await client.execute("PING") == b"PONG"


async def test_redis_is_down_at_the_start(server: RedisServer) -> None:
    """Fault 1: the client starts, says so, and takes no time from anybody; then Redis comes."""
    server.kill()
    async with redis_client(connector(server.url), pool_min=POOL) as client:
        assert not client.healthy
        await failing_costs_nothing(client)
        server.start()
        await back(client)
        await until(lambda: client.connections == POOL)


async def test_redis_is_killed_under_load_and_comes_back(server: RedisServer) -> None:
    """Faults 2 and 3: no waiting, one report for each change, back within 2 s with at most a pool of reconnects."""
    reports: list[tuple[bool, str]] = []
    client = RedisClient(connector(server.url), untimed, lambda serves, word: reports.append((serves, word)))
    await client.start()
    await until(lambda: client.connections == POOL)
    longest, failed, stop = 0.0, 0, asyncio.Event()

    async def caller(number: int) -> None:
        nonlocal longest, failed
        while not stop.is_set():
            async with loop_time() as passed:
                try:
                    assert await client.execute("ECHO", number) == b"%d" % number
                except RedisUnavailableError:
                    failed += 1
            longest = max(longest, passed.seconds)
            await asyncio.sleep(0.002)

    callers = [asyncio.create_task(caller(number)) for number in range(20)]
    await asyncio.sleep(0.05)
    server.kill()
    await until(lambda: not client.healthy, 1.0)
    await until(lambda: failed > 500)
    before = client.connects
    server.start()
    await back(client)
    await until(lambda: client.connections == POOL)
    assert client.connects - before <= POOL + 5  # one for each probe that failed while it started
    stop.set()
    await asyncio.gather(*callers)
    assert longest < 0.15 + SLACK
    await asyncio.sleep(1.0)  # a report that was held back comes after a second
    assert [serves for serves, _ in reports] in ([False, True], [])
    assert await server.clients() == POOL
    await client.aclose()
    assert await server.clients() == 0


async def test_a_redis_that_hangs_costs_one_deadline_and_then_nothing(server: RedisServer, client: RedisClient) -> None:
    """Fault 4: never 58 s."""
    server.pause()
    async with loop_time() as passed:
        times = await asyncio.gather(*(seconds_to_fail(client, timeout=0.05) for _ in range(50)))
        assert max(times) < 0.05 + SLACK
        await until(lambda: not client.healthy, 1.0)
    assert passed.seconds < 0.5
    await failing_costs_nothing(client)
    server.resume()
    await back(client)


async def test_an_idle_client_notices_a_redis_that_hangs(server: RedisServer, client: RedisClient) -> None:
    """Fault 4: within about a second, before any request pays for it."""
    server.pause()
    await until(lambda: not client.healthy, 1.0 + SLACK)
    server.resume()
    await back(client)


async def test_no_reply_of_before_a_hang_is_used_after_it(server: RedisServer, client: RedisClient) -> None:
    """Fault 5: what was sent into the hang may run once, and never twice."""
    await client.execute("SET", "n", 0)
    for _ in range(3):
        server.pause()
        failures = await asyncio.gather(
            *(client.execute("INCR", "n", timeout=0.03) for _ in range(50)),
            *(client.execute("ECHO", f"old-{number}", timeout=0.03, read=True) for number in range(50)),
            return_exceptions=True,
        )
        assert all(isinstance(one, RedisTimeoutError) and one.maybe_executed for one in failures)
        server.resume()
        await back(client)
        fresh = [client.execute("ECHO", f"new-{number}") for number in range(100)]
        assert await asyncio.gather(*fresh) == [b"new-%d" % number for number in range(100)]
    count = await client.execute("GET", "n")
    assert isinstance(count, bytes)
    assert int(count) <= 150


async def test_a_blocking_read_ends_once_redis_is_found_to_hang(server: RedisServer, client: RedisClient) -> None:
    """Fault 4: long before its own deadline, which is that of a Redis with nothing to say."""
    async with client.dedicated() as own:
        reading = asyncio.create_task(own.execute("BLPOP", "nothing", 30, timeout=31.0))
        await asyncio.sleep(0)
        server.pause()
        await seconds_to_fail(client)
        async with asyncio.timeout(5):
            with pytest.raises(RedisUnavailableError):
                await reading
    server.resume()


async def test_loading_is_as_good_as_down(server: RedisServer, client: RedisClient) -> None:
    """Fault 13: no retries into it."""
    await asyncio.gather(*(client.execute("SET", f"key-{one}", "x" * 50, timeout=5.0) for one in range(2_000)))
    await server.command("CONFIG", "SET", "key-load-delay", 1500, "loading-process-events-interval-bytes", 1024)
    loading = asyncio.create_task(server.command("DEBUG", "RELOAD"))
    await until(lambda: not client.healthy, 1.0 + SLACK)
    await failing_costs_nothing(client)
    await until(lambda: repr(client.failure) == "RedisUnavailableError('LOADING')", 2.0)
    assert await loading == "+OK"
    await back(client)


async def test_a_failover_drops_the_pool_once(server: RedisServer, client: RedisClient) -> None:
    """Fault 14: READONLY is told to the caller, the connections are replaced once, and writes pass soon after."""
    await server.command("REPLICAOF", "127.0.0.1", 1)
    before = client.connects
    done = await asyncio.gather(*(client.execute("SET", "a", 1) for _ in range(50)), return_exceptions=True)
    assert {one.word for one in done if isinstance(one, RedisRefusedError)} == {"READONLY"}
    assert len(done) == 50
    for _ in range(20):
        with pytest.raises(RedisClientError):
            await client.execute("SET", "a", 1)
    assert client.connects - before <= POOL
    assert client.refusals["READONLY"] == 70
    await server.command("REPLICAOF", "NO", "ONE")
    assert await client.execute("SET", "a", 1) == b"OK"


async def test_a_dedicated_connection_moves_after_a_failover(server: RedisServer, client: RedisClient) -> None:
    """Fault 14: whoever reads on the old primary is told to take another connection."""
    async with client.dedicated() as own:
        assert await own.execute("PING", timeout=1.0) == b"PONG"
        await server.command("REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(RedisRefusedError):
            await client.execute("SET", "a", 1)
        with pytest.raises(RedisUnavailableError):
            await own.execute("PING", timeout=1.0)


async def refused_writes(client: RedisClient, word: str) -> None:
    """Writes are refused with that word, reads are served, and Redis counts as well."""
    for _ in range(5):
        with pytest.raises(RedisRefusedError) as raised:
            await client.execute("SET", "a", "x" * 1_000)
        assert raised.value.word == word
    assert await client.execute("GET", "small") == b"1"
    assert client.refusals == {word: 5}
    assert client.healthy


async def test_a_full_redis_refuses_writes_and_serves_reads(server: RedisServer, client: RedisClient) -> None:
    """Fault 16."""
    await client.execute("SET", "small", 1)
    await server.command("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
    await refused_writes(client, "OOM")
    await server.command("CONFIG", "SET", "maxmemory", 0)
    assert await client.execute("SET", "a", 1) == b"OK"


async def test_a_redis_that_cannot_save_refuses_writes_and_serves_reads(
    server: RedisServer, client: RedisClient
) -> None:
    """Fault 17: an RDB file that cannot be written."""
    await client.execute("SET", "small", 1)
    await server.command("CONFIG", "SET", "save", "3600 1", "stop-writes-on-bgsave-error", "yes")
    await server.command("CONFIG", "SET", "dir", "/proc")
    await server.command("BGSAVE")

    async with asyncio.timeout(5.0):
        while (await server.info("persistence"))["rdb_last_bgsave_status"] != "err":  # noqa: ASYNC110 - in the server
            await asyncio.sleep(0.01)
    await refused_writes(client, "MISCONF")


async def test_a_busy_script_is_like_a_hang(server: RedisServer, client: RedisClient) -> None:
    """Fault 19: nothing waits for it, and we do not kill it."""
    await server.command("CONFIG", "SET", "busy-reply-threshold", 50)
    busy = Script("busy", "local t = redis.call('TIME')[1] while redis.call('TIME')[1] - t < 2 do end return 1")
    endless = asyncio.create_task(server.command("EVAL", busy.text.decode(), 0))
    await asyncio.sleep(0.02)
    assert await seconds_to_fail(client) < 0.1 + SLACK
    await until(lambda: not client.healthy, 1.0)
    await failing_costs_nothing(client)
    assert await endless == ":1"
    await back(client)


async def test_a_redis_full_of_clients_is_not_stormed(server: RedisServer) -> None:
    """Fault 20: the client works with the connections that it has."""
    await server.command("CONFIG", "SET", "maxclients", 5)
    async with redis_client(connector(server.url), pool_min=POOL) as client:
        await asyncio.gather(*(client.execute_bulk("INCR", "n", timeout=1.0) for _ in range(2_000)))
        assert client.healthy
        assert 1 <= client.connections <= 5
        await asyncio.sleep(0.3)
        assert client.connects <= 2 * POOL


async def test_no_room_for_any_client(server: RedisServer) -> None:
    """Fault 20: as down, with few attempts."""
    await server.command("CONFIG", "SET", "maxclients", 1)
    async with redis_client(connector(server.url)) as first, redis_client(connector(server.url)) as second:
        assert first.healthy
        assert isinstance(second.failure, RedisUnavailableError)
        for _ in range(100):
            await seconds_to_fail(second)
        assert second.connects == 1


async def test_a_user_who_may_do_nothing(server: RedisServer) -> None:
    """Fault 23: one whose permissions (ACL) are too few to serve."""
    await server.command("ACL", "SETUSER", "ann", "on", ">pw", "+get", "~*")
    async with redis_client(connector(f"redis://ann:pw@127.0.0.1:{server.port}/0")) as client:
        assert repr(client.failure) == "RedisAuthenticationError('NOPERM')"
        with pytest.raises(RedisAuthenticationError):
            await client.execute("GET", "a")
        await asyncio.sleep(1.1)  # longer than the pause between two probes of a Redis that is down
        assert client.connects == 1


@pytest.mark.parametrize("password", [None, "wrong-password"])
async def test_wrong_credentials_are_told_and_not_tried_again_and_again(
    server: RedisServer, password: str | None
) -> None:
    """Fault 23: the reason names no password."""
    await server.command("CONFIG", "SET", "requirepass", "right-password")
    async with redis_client(connector(host="127.0.0.1", port=server.port, password=password)) as client:
        assert isinstance(client.failure, RedisAuthenticationError)
        assert "password" not in repr(client.failure)
        for _ in range(100):
            with pytest.raises(RedisAuthenticationError):
                await client.execute("PING")
        await asyncio.sleep(1.1)  # longer than the pause between two probes of a Redis that is down
        assert client.connects <= 2
    async with redis_client(connector(host="127.0.0.1", port=server.port, password="right-password")) as client:
        assert client.healthy


async def test_a_deadline_of_one_command_is_not_that_of_its_neighbours(server: RedisServer) -> None:
    async with redis_client(connector(server.url), pool_min=2) as client:
        await until(lambda: client.idle == 2)  # one for the probe
        sleeper = client.execute("BLPOP", "nothing", 0.5, timeout=2.0)  # holds up this one connection
        hasty = client.execute("ECHO", "hasty", timeout=0.03)
        patient = client.execute("ECHO", "patient", timeout=2.0)
        done = await asyncio.gather(sleeper, hasty, patient, return_exceptions=True)
        assert done[0] is None
        assert isinstance(done[1], RedisTimeoutError)
        assert done[2] == b"patient"
        assert client.healthy


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("held", [0.19, 0.21, 0.22, 0.24, 0.5])
async def test_a_busy_event_loop_is_not_taken_for_a_dead_redis(client: RedisClient, turns: int, held: float) -> None:
    """Held up before and after the command leaves, until shortly before, shortly after and long after its deadline."""
    asking = [asyncio.create_task(client.execute("ECHO", number, timeout=0.2)) for number in range(10)]
    for _ in range(turns):
        await asyncio.sleep(0)
    hold_up_the_loop(held)
    assert await asyncio.gather(*asking) == [b"%d" % number for number in range(10)]
    assert client.healthy


async def test_an_event_loop_that_is_held_up_again_and_again_does_not_lengthen_a_wait_for_ever(
    server: RedisServer, client: RedisClient
) -> None:
    """Counted in turns of the loop, each of 30 ms at least: 1.1 s are over after 37, and a few deliver the error."""
    server.pause()
    asking = asyncio.create_task(client.execute("GET", "a", timeout=0.1))
    for _ in range(50):
        hold_up_the_loop(0.03)
        await asyncio.sleep(0)
    assert asking.done()
    with pytest.raises(RedisUnavailableError):
        await asking
