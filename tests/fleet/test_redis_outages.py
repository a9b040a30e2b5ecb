"""Redis goes away, comes back, loses its data, hangs: no attached stream breaks, and no gap is silent (S14)."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fleet.footprint import returns_to_rest
from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.outage import Load, under_load, until_redis_serves
from tests.fleet.readers import StreamReader, event_id, told, whole_log
from tests.redis_proxy import proxy_to
from tests.redis_server import RedisServer

TOKENS = 100


@pytest.fixture(scope="module")
def replicas() -> Iterator[Fleet]:
    with RedisServer("--appendonly", "yes") as redis, running_fleet(redis) as fleet:
        yield fleet


@pytest.fixture
async def hurt(replicas: Fleet) -> AsyncIterator[Fleet]:
    async with returns_to_rest(replicas):
        yield replicas


async def ended_stream(fleet: Fleet) -> StreamReader:
    """A stream that ended before the fault, and that the log has."""
    old = StreamReader()
    async with fleet.start(0, "before", "ok", max_tokens=20) as answer:
        await old.take(answer)

    async def written() -> bool:
        return await whole_log(fleet.url(1), old.stream_id) == old.events

    await eventually(written)
    return old


async def check_old_position(fleet: Fleet, old: StreamReader, *, lost: bool) -> None:
    """The right bytes, or an end that says that there are none (S5, S14)."""
    for number in range(3):
        received = await told(fleet.url(number), old.stream_id, after=event_id(old.events[5]).decode())
        if received != old.events[6:]:
            assert lost
            assert len(received) == 1
            assert b"not_resumable" in received[0]


async def check_resumed(fleet: Fleet, load: Load) -> None:
    """The log was filled in: whoever reads it anywhere has what the attached readers had."""
    load.check_attached()
    for here, there in zip(load.attached, load.elsewhere, strict=True):
        assert there.events == here.events
        for number in range(3):
            assert await whole_log(fleet.url(number), here.stream_id) == here.events


async def test_flushall_under_way_s14_21(hurt: Fleet, rng: random.Random) -> None:
    """S14, fault 21."""
    old = await ended_stream(hurt)

    async def flush() -> None:
        await hurt.redis.command("FLUSHALL")

    await check_resumed(hurt, await under_load(hurt, rng, TOKENS, flush))
    await check_old_position(hurt, old, lost=True)


async def test_a_restart_with_its_data_s14_2_3(hurt: Fleet, rng: random.Random) -> None:
    """S14, faults 2 and 3."""
    old = await ended_stream(hurt)

    async def restart() -> None:
        hurt.redis.kill()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(hurt.redis.start)
        await until_redis_serves(hurt)

    await check_resumed(hurt, await under_load(hurt, rng, TOKENS, restart))
    await check_old_position(hurt, old, lost=False)


async def test_a_restart_without_its_data_s14_22(hurt: Fleet, rng: random.Random) -> None:
    """S14, fault 22 at its worst: all is lost."""
    old = await ended_stream(hurt)

    async def restart() -> None:
        hurt.redis.kill()
        hurt.redis.lose_data()
        await asyncio.to_thread(hurt.redis.start)
        await until_redis_serves(hurt)

    await check_resumed(hurt, await under_load(hurt, rng, TOKENS, restart))
    await check_old_position(hurt, old, lost=True)


async def test_a_stall_of_two_seconds_s14_4_5(hurt: Fleet, rng: random.Random) -> None:
    """S14, faults 4 and 5."""
    old = await ended_stream(hurt)

    async def stall() -> None:
        hurt.redis.pause()
        await asyncio.sleep(2.0)
        hurt.redis.resume()
        await until_redis_serves(hurt)

    await check_resumed(hurt, await under_load(hurt, rng, 2 * TOKENS, stall))
    await check_old_position(hurt, old, lost=False)


async def test_connections_cut_in_the_middle_of_commands_s14_7_8(rng: random.Random) -> None:
    """S14, faults 7 and 8: commands are executed and their replies lost, again and again."""
    with RedisServer() as redis:
        async with proxy_to(redis.port) as proxy:
            running = running_fleet(redis, redis_url=proxy.url)
            fleet = await asyncio.to_thread(running.__enter__)
            try:

                async def cut() -> None:
                    for _ in range(10):
                        proxy.lose_replies = True
                        await asyncio.sleep(rng.uniform(0, 0.1))
                        proxy.lose_replies = False
                        proxy.reset()
                        await asyncio.sleep(rng.uniform(0, 0.1))
                    await until_redis_serves(fleet)

                await check_resumed(fleet, await under_load(fleet, rng, TOKENS, cut))
            finally:
                await asyncio.to_thread(running.__exit__, None, None, None)
