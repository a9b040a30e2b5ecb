"""The Redis client on a Redis that is well: replies, batches, scripts, bounds, and nothing left behind."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters import redis as package
from adapters.memory.clock import SystemClock
from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.errors import (
    RedisOverloadedError,
    RedisRefusedError,
    RedisTimeoutError,
    RedisUnavailableError,
    RedisUnsupportedError,
)
from adapters.redis.script import Script
from domain.services.execution_tracker import ExecutionTracker
from tests.loop_time import loop_time
from tests.redis_cases import redis_client, unheard, untimed
from tests.redis_server import RedisServer
from tests.service import until


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


hold_up_the_loop = time.sleep


async def take(client: RedisClient) -> None:
    async with client.dedicated() as own:
        assert await own.execute("PING", timeout=1.0) == b"PONG"


async def block(client: RedisClient) -> None:
    async with client.dedicated() as own:
        await own.execute("BLPOP", "never", 0, timeout=0.01)


async def test_each_command_gets_its_own_reply_or_its_own_error(server: RedisServer) -> None:
    async with redis_client(connector(server.url)) as client:
        await client.execute("SET", "text", "caf\u00e9")
        done = await asyncio.gather(
            client.execute("GET", "text", read=True),
            client.execute("LPUSH", "text", 1),
            client.execute("NOSUCHCOMMAND"),
            client.execute("GET", "nothing"),
            client.execute("RPUSH", "list", b"\x00\r\n", 2, 1.5),
            client.execute("LRANGE", "list", 0, -1),
            return_exceptions=True,
        )
        assert client.round_trips == 3  # FLUSHDB, SET, and all of these
        assert done[0] == "caf\u00e9".encode()
        assert isinstance(done[1], RedisRefusedError)
        assert done[1].word == "WRONGTYPE"
        assert isinstance(done[2], RedisRefusedError)
        assert done[2].word == "ERR"
        assert list(done[3:]) == [None, 3, [b"\x00\r\n", b"2", b"1.5"]]
        assert client.healthy


async def test_no_error_quotes_an_argument(server: RedisServer) -> None:
    """P1: Redis does, in the text of its errors."""
    async with redis_client(connector(server.url)) as client:
        with pytest.raises(RedisRefusedError) as raised:
            await client.execute("NOSUCHCOMMAND", "a secret prompt")
        assert "secret" not in repr(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None


async def test_a_hundred_commands_at_once_need_two_round_trips(server: RedisServer) -> None:
    """Group commit: what comes while a pipeline is in flight leaves together in the next."""
    async with redis_client(connector(server.url), pool_min=10) as client:
        before = int((await server.info("stats"))["total_reads_processed"])
        await asyncio.gather(*(client.execute("SET", f"key-{number}", number) for number in range(100)))
        assert client.round_trips <= 3
        assert client.commands == 101
        reads = int((await server.info("stats"))["total_reads_processed"]) - before
        assert reads < 20  # of the server, those of the pings and of INFO itself included

        sequential = client.round_trips
        for _ in range(10):
            await client.execute("PING")
        assert client.round_trips == sequential + 10  # an idle client sends at once


async def test_a_lone_command_needs_no_task(server: RedisServer) -> None:
    """The task of the first one goes on with the next; all end with the client."""
    async with redis_client(connector(server.url)) as client:
        await client.execute("PING")
        tasks = asyncio.all_tasks()
        await client.execute("PING")
        assert asyncio.all_tasks() == tasks


async def test_writes_keep_their_order(server: RedisServer) -> None:
    async with redis_client(connector(server.url)) as client:
        await asyncio.gather(*(client.execute("RPUSH", "order", number) for number in range(2_500)))
        assert await client.execute("LRANGE", "order", 0, -1) == [b"%d" % number for number in range(2_500)]
        assert client.round_trips >= 4  # flights are bounded: 1,000 commands each


async def test_large_values_do_not_hold_up_small_commands(server: RedisServer) -> None:
    large = b"x" * 4_000_000
    async with redis_client(connector(server.url)) as client:
        await asyncio.gather(*(client.execute_bulk("SET", f"large-{one}", large, timeout=5.0) for one in range(4)))
        loads = [asyncio.create_task(client.execute_bulk("GET", f"large-{one % 4}", timeout=5.0)) for one in range(16)]
        await asyncio.sleep(0)
        for number in range(5):
            assert await client.execute("ECHO", number, timeout=1.0) == b"%d" % number
        assert not all(load.done() for load in loads)
        assert [await load for load in loads] == [large] * 16


async def test_a_script_is_loaded_when_redis_does_not_have_it(server: RedisServer) -> None:
    """Fault 18: NOSCRIPT, for each of 50 flushes; the script runs exactly once each time."""
    script = Script("count", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
    async with redis_client(connector(server.url)) as client:
        for number in range(1, 51):
            await client.execute("SCRIPT", "FLUSH")
            assert await client.evalsha(script, ["counter"], [2]) == 2 * number
        sent = client.commands
        assert await client.evalsha(script, ["counter"], [2]) == 102
        assert client.commands == sent + 1


async def test_the_error_of_a_script_comes_with_its_word(server: RedisServer) -> None:
    async with redis_client(connector(server.url)) as client:
        with pytest.raises(RedisRefusedError) as raised:
            await client.evalsha(Script("no", "return redis.error_reply('FENCED by 7')"), [])
        assert raised.value.word == "FENCED"


async def test_every_script_in_the_package_is_lua_that_redis_takes(server: RedisServer) -> None:
    async with redis_client(connector(server.url)) as client:
        for path in (Path(package.__path__[0]) / "scripts").glob("*.lua"):
            script = Script(path.stem)
            assert await client.execute("SCRIPT", "LOAD", script.text) == script.sha.encode()
    with pytest.raises(FileNotFoundError):
        _ = Script("no_such_script").sha


async def test_every_operation_is_timed_under_its_stage(server: RedisServer) -> None:
    tracker = ExecutionTracker(SystemClock(), sample_rate=1.0)
    client = RedisClient(connector(server.url), tracker.track_substage, unheard, pool_min=0)
    await client.start()
    with tracker.track_stage("2.2_L2_CACHE_LOOKUP", "L2", "thread-1"):
        await client.execute("get", "a")
        await client.evalsha(Script("stream_append", "return 1"), [])
        with pytest.raises(RedisRefusedError):
            await client.execute("GET", "a", "b")
    await client.aclose()
    summary = tracker.get_execution_summary("thread-1")
    assert [stage.stage for stage in summary.stages[0].substages] == [
        "REDIS.GET_OPERATION",
        *["REDIS.STREAM_APPEND_OPERATION"] * 2,  # NOSCRIPT, then its text
        "REDIS.GET_OPERATION",
    ]
    assert summary.stages[0].substages[-1].error == "RedisRefusedError"


async def test_what_waits_is_bounded(server: RedisServer) -> None:
    """Back-pressure: above the bound the answer is an error, at once."""
    async with redis_client(connector(server.url), max_commands=100) as client:
        done = await asyncio.gather(*(client.execute("INCR", "n") for _ in range(150)), return_exceptions=True)
        assert sum(isinstance(one, int) for one in done) == 100
        refused = [one for one in done if isinstance(one, RedisOverloadedError)]
        assert len(refused) == 50
        assert not any(one.maybe_executed for one in refused)
        assert await client.execute("GET", "n") == b"100"
        assert client.healthy


async def test_an_exhausted_pool_costs_50_ms_and_no_more(server: RedisServer) -> None:
    """Fault 12."""
    loop = asyncio.get_running_loop()
    async with redis_client(connector(server.url), pool_max=2) as client, contextlib.AsyncExitStack() as stack:
        holders = [await stack.enter_async_context(client.dedicated()) for _ in range(2)]
        # Longer than the time between two health checks, which find no connection either: that is not Redis's fault.
        reads = [asyncio.create_task(one.execute("BLPOP", "never", 1.0, timeout=3.0)) for one in holders]
        started = loop.time()
        async with loop_time() as passed:
            done = await asyncio.gather(*(client.execute("PING") for _ in range(20)), return_exceptions=True)
        assert all(isinstance(one, RedisOverloadedError) for one in done)
        assert loop.time() - started > 0.04
        assert passed.seconds < 0.15
        assert [await read for read in reads] == [None, None]
        assert client.healthy
        await stack.aclose()
        assert await client.execute("PING") == b"PONG"
        assert client.connections == 2


async def test_a_wait_for_a_connection_does_not_run_while_the_event_loop_is_held_up(server: RedisServer) -> None:
    """Fault 12: connections that were ready all along are not missing."""
    async with redis_client(connector(server.url)) as client:
        taking = [asyncio.create_task(take(client)) for _ in range(10)]
        await asyncio.sleep(0.001)
        hold_up_the_loop(0.2)
        await asyncio.gather(*taking)


async def test_connections_that_die_are_made_up_for(server: RedisServer) -> None:
    """The minimum is kept without anybody who asks for a connection."""
    async with redis_client(connector(server.url), pool_min=4) as client:
        await until(lambda: client.connections == 4)
        for _ in range(3):
            with pytest.raises(RedisTimeoutError):
                await block(client)
        await until(lambda: client.connections == 4)
        assert client.connects == 7


async def test_a_dedicated_connection_blocks_nobody_else(server: RedisServer) -> None:
    async with redis_client(connector(server.url)) as client, client.dedicated() as own:
        waiting = asyncio.create_task(own.execute("BLPOP", "list", 0, timeout=5.0))
        with pytest.raises(RuntimeError):
            await asyncio.sleep(0)
            await own.execute("PING", timeout=1.0)
        await client.execute("RPUSH", "list", "x")
        assert await waiting == [b"list", b"x"]
        with pytest.raises(RedisRefusedError):
            await own.execute("INCR", "a", "b", timeout=1.0)
        assert await own.execute("PING", timeout=1.0) == b"PONG"  # an error reply does not end it


async def test_a_cancelled_blocking_read_ends_its_connection_and_no_other(server: RedisServer) -> None:
    async with redis_client(connector(server.url)) as client:
        async with client.dedicated() as own:
            read = asyncio.create_task(own.execute("BLPOP", "list", 0, timeout=5.0))
            await asyncio.sleep(0)
            read.cancel()
            with pytest.raises(asyncio.CancelledError):
                await read
            with pytest.raises(RedisUnavailableError):
                await own.execute("PING", timeout=1.0)
        assert await client.execute("ECHO", "mine") == b"mine"


@pytest.mark.parametrize("how", ["host", "unix"])
async def test_other_addresses(server: RedisServer, how: str) -> None:
    make = (
        connector(host="127.0.0.1", port=server.port, db=3)
        if how == "host"
        # What an address may ask of redis-py (decoding, retries, timeouts) is not taken over.
        else connector(f"unix://{server.socket_path}?db=3&decode_responses=1&retry_on_timeout=1&socket_timeout=9")
    )
    async with redis_client(make) as client:
        await client.execute("SET", how, "x")
        assert await client.execute("GET", how) == b"x"
        assert await server.command("GET", how) == "$-1"  # not in database 0


def test_an_address_that_is_none() -> None:
    with pytest.raises(ValueError):
        connector("http://localhost")


async def test_a_cluster_is_told_at_once_and_left_alone() -> None:
    """Each node has a part of the keys: half of all commands would be answered MOVED."""
    with RedisServer("--cluster-enabled", "yes") as cluster:
        client = RedisClient(connector(cluster.url), untimed, unheard)
        await client.start()
        try:
            assert repr(client.failure) == "RedisUnsupportedError('CLUSTER')"
            for _ in range(100):
                with pytest.raises(RedisUnsupportedError):
                    await client.execute("GET", "a")
            await asyncio.sleep(1.1)  # longer than the pause between two probes of a Redis that is down
            assert client.connects == 1
            assert not client.commands
        finally:
            await client.aclose()


async def test_a_database_that_there_is_not(server: RedisServer) -> None:
    async with redis_client(connector(host="127.0.0.1", port=server.port, db=9_999)) as client:
        assert repr(client.failure) == "RedisUnavailableError('ERR')"


async def test_the_pool_is_warm_and_closing_leaves_nothing(server: RedisServer) -> None:
    """Connections, tasks and clients of the server are back to base; warnings are errors here."""
    tasks = asyncio.all_tasks()
    base = await server.clients()
    async with redis_client(connector(server.url), pool_min=10) as client:
        await until(lambda: client.connections == 10)
        assert await server.clients() == base + 10
        await asyncio.gather(*(client.execute_bulk("INCR", "n") for _ in range(200)))
        assert client.connections == 10
        assert client.connects == 10
        waiting = asyncio.create_task(client.execute("BLPOP", "never", 0, timeout=5.0))
        await asyncio.sleep(0)
    with pytest.raises((RedisOverloadedError, RedisUnavailableError)):
        await waiting
    with pytest.raises(RedisUnavailableError):
        await client.execute("PING")
    assert asyncio.all_tasks() == tasks
    await until(lambda: not client.connections)
    assert await server.clients() == base


async def test_commands_before_the_start_fail(server: RedisServer) -> None:
    client = RedisClient(connector(server.url), lambda stage, name: contextlib.nullcontext(), unheard)
    with pytest.raises(RedisUnavailableError, match="NOT_STARTED"):
        await client.execute("PING")
    await client.aclose()


async def test_a_redis_that_is_heard_from_is_not_asked_whether_it_serves(server: RedisServer) -> None:
    """Else each process would ask it more than once a second for nothing; one that is silent, it asks."""

    async def pings() -> int:
        line = (await server.info("commandstats")).get("cmdstat_ping", "calls=0,")
        return int(line.removeprefix("calls=").partition(",")[0])

    loop = asyncio.get_running_loop()
    async with redis_client(connector(server.url)) as client:
        before, over = await pings(), loop.time() + 2.0
        while loop.time() < over:
            await client.execute("ECHO", "x", timeout=1.0)
            await asyncio.sleep(0.02)
        heard = await pings()
        assert heard - before <= 1  # two at least if it did not listen; one if this machine stood still
        async with asyncio.timeout(5):
            while await pings() == heard:  # noqa: ASYNC110 - what is waited for lies in another process
                await asyncio.sleep(0.05)
