"""What only the slots on Redis promise: one count for the fleet, leases, and that nothing leaks whatever happens."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakeredis import FakeServer
from fakeredis.aioredis import FakeRedis

from adapters.memory.clock import SystemClock
from adapters.memory.manual_clock import ManualClock
from adapters.redis.admission_keys import HOLDERS, TENANT
from adapters.redis.client import RedisClient
from adapters.redis.connection import Connector, connector
from adapters.redis.slots import LEASE_SECONDS, RENEW_SECONDS, RedisSlots
from domain.model import Caller
from tests.contracts.redis_time import StillRedisClient, still_client
from tests.loop_time import loop_time
from tests.redis_cases import redis_client
from tests.redis_proxy import proxy_to
from tests.redis_server import RedisServer
from tests.service import until

ACME, OTHER = Caller("acme"), Caller("other")
DECISION_SECONDS = 0.05
SLACK = 0.1
"""Seconds that a busy machine may add to a time that is measured here."""


class Fleet:
    """Processes on one Redis; `advance` lets time pass for those that live."""

    def __init__(self, client: StillRedisClient, total: int, each: int) -> None:
        self.client = client
        self._bounds = total, each
        self.clock = ManualClock()
        self.processes: list[RedisSlots] = []

    def start(self) -> RedisSlots:
        total, each = self._bounds
        self.processes.append(RedisSlots(self.client, self.clock, total, lambda caller: each))
        return self.processes[-1]

    def kill(self, process: RedisSlots) -> None:
        self.processes.remove(process)

    async def advance(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            await self.client.advance(0.5)
            await self.clock.advance(0.5)
            for process in self.processes:
                await process.synchronise()

    async def in_use(self) -> int:
        """As Redis counts."""
        count = await self.client.execute("ZCOUNT", HOLDERS, f"({self.client.now_us // 1000}", "+inf", timeout=5.0)
        assert isinstance(count, int)
        return count


@asynccontextmanager
async def fleet(connect: Connector | None = None, *, total: int = 4, each: int = 3) -> AsyncIterator[Fleet]:
    fake = FakeRedis(server=FakeServer(), protocol=2).connection_pool
    async with still_client(connect or fake.make_connection) as client:
        yield Fleet(client, total, each)


async def test_the_bounds_are_the_fleet_s() -> None:
    """L6, Q8: in all, and of a tenant."""
    async with fleet() as one:
        here, there = one.start(), one.start()
        assert [await here.acquire(ACME, f"h{number}") for number in range(2)] == [True, True]
        assert [await there.acquire(ACME, f"t{number}") for number in range(2)] == [True, False]
        assert [await there.acquire(OTHER, f"o{number}") for number in range(2)] == [True, False]
        await here.release("h0")
        assert await there.acquire(OTHER, "o1")
        assert await one.in_use() == 4


async def test_a_lease_is_kept_for_as_long_as_its_process_lives() -> None:
    """L6."""
    async with fleet() as one:
        here, there = one.start(), one.start()
        for number in range(3):
            await here.acquire(ACME, str(number))
        await one.advance(4 * LEASE_SECONDS)
        assert await one.in_use() == 3
        assert not await there.acquire(ACME, "more")


async def test_the_slots_of_a_dead_process_come_back_within_a_lease() -> None:
    """L6, Q8: and leave no key behind."""
    async with fleet() as one:
        dead, there = one.start(), one.start()
        for number in range(3):
            await dead.acquire(ACME, str(number))
        one.kill(dead)
        await one.advance(LEASE_SECONDS - 0.5)
        assert not await there.acquire(ACME, "early")
        await one.advance(0.5)
        assert [await there.acquire(ACME, f"late {number}") for number in range(3)] == [True] * 3
        one.kill(there)
        await one.advance(LEASE_SECONDS)
        assert await one.client.execute("KEYS", "headgate:*") == []


async def test_what_is_full_here_is_not_asked_of_redis() -> None:
    async with fleet(total=1) as one:
        here = one.start()
        await here.acquire(ACME, "a")
        before = one.client.commands
        assert not await here.acquire(OTHER, "b")
        assert await here.acquire(ACME, "a")
        assert one.client.commands == before


async def test_one_that_changed_its_process_is_one_holder() -> None:
    """Q8: a stream that another process goes on with has one slot."""
    async with fleet(total=1) as one:
        here, there = one.start(), one.start()
        assert await here.acquire(ACME, "s")
        assert await there.acquire(ACME, "s")
        assert await one.in_use() == 1
        one.kill(here)
        await one.advance(2 * LEASE_SECONDS)
        assert await one.in_use() == 1


async def test_what_redis_forgets_is_counted_again() -> None:
    """L6, fault 21: within one renewal."""
    async with fleet() as one:
        here, there = one.start(), one.start()
        await here.acquire(ACME, "a")
        await there.acquire(OTHER, "b")
        await one.client.execute("DEL", HOLDERS, TENANT + "acme", TENANT + "other")
        await one.advance(RENEW_SECONDS)
        assert await one.in_use() == 2
        await here.release("a")
        await there.release("b")
        assert await one.in_use() == 0


async def test_the_keeper_renews_until_it_is_closed() -> None:
    """L6: the task that renews is owned."""
    async with fleet() as one:
        slots = RedisSlots(one.client, one.clock, 4, lambda caller: 4)
        slots.start()
        await slots.acquire(ACME, "a")
        before = one.client.commands
        for _ in range(round(RENEW_SECONDS * 2)):
            await one.clock.advance(0.5)
        await until(lambda: one.client.commands > before)
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        await slots.aclose()
        assert tasks - {task.get_name() for task in asyncio.all_tasks()} == {"slots"}


@pytest.mark.parametrize("turns", range(8))
async def test_a_slot_that_nobody_waits_for_any_more_comes_back_at_once(turns: int) -> None:
    """L6: cancelled before, while and after Redis was asked."""
    async with fleet() as one:
        here = one.start()
        asking = asyncio.create_task(here.acquire(ACME, "a"))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        (done,) = await asyncio.gather(asking, return_exceptions=True)
        await one.advance(0.5)
        assert await one.in_use() == int(done is True)


async def random_life(slots: RedisSlots, number: int) -> int:
    """One holder's life: asks, holds, and gives back, whatever happens to it. Whether it was refused."""
    held = await slots.acquire(Caller(f"t{number % 7}"), f"{id(slots)}-{number}")
    if held:
        try:
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)
        finally:
            await slots.release(f"{id(slots)}-{number}")
    return not held


async def test_ten_thousand_holders_leave_nothing_behind(server: RedisServer) -> None:
    """L6: cancelled at any moment, and with some of the processes dead: all slots are back within one lease."""
    random.seed(6)
    async with fleet(connector(server.url), total=40, each=12) as one:
        most = refused = 0
        for batch in range(100):
            processes = [one.start() for _ in range(4)]
            lives = [asyncio.create_task(random_life(processes[number % 4], number)) for number in range(100)]
            for task in random.sample(lives, 30):
                for _ in range(random.randrange(3)):
                    await asyncio.sleep(0)
                task.cancel()
            done = await asyncio.gather(*lives, return_exceptions=True)
            assert all(isinstance(one, int | asyncio.CancelledError) for one in done)
            refused += sum(1 for one in done if one is True)
            most = max(most, await one.in_use())
            assert most <= 40
            for process in processes[: batch % 5]:
                if batch % 2:
                    await process.acquire(ACME, f"dies-{batch}")
                one.kill(process)
            await one.advance(0.5)
            for process in one.processes:
                assert not process._tenants
                assert not process._returns
            one.processes.clear()
        assert refused
        await one.advance(LEASE_SECONDS)
        assert await one.in_use() == 0
        survivor = one.start()
        taken = [await survivor.acquire(Caller(str(number)), str(number)) for number in range(41)]
        assert taken == [True] * 40 + [False]


async def test_four_processes_at_once_take_no_more_than_there_are(server: RedisServer) -> None:
    """L6, Q8: two hundred ask at once, on connections of their own."""
    clients = [redis_client(connector(server.url), pool_min=1) for _ in range(4)]
    async with clients[0] as a, clients[1] as b, clients[2] as c, clients[3] as d:
        processes = [RedisSlots(client, SystemClock(), 50, lambda caller: 20) for client in (a, b, c, d)]
        taken = await asyncio.gather(
            *(slots.acquire(Caller(f"t{number % 5}"), f"{one}-{number}")
              for one, slots in enumerate(processes) for number in range(50))
        )  # fmt: skip
        assert sum(taken) == 50
        assert await server.command("ZCARD", HOLDERS) == ":50"


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_without_redis_each_process_keeps_to_the_bounds(
    server: RedisServer, client: RedisClient, fault: str
) -> None:
    """L6, faults 2 and 4: decided in time, and what runs is counted when Redis is back."""
    slots = RedisSlots(client, SystemClock(), 4, lambda caller: 3)
    assert await slots.acquire(ACME, "before")
    await slots.synchronise()  # the next renewal is far away, if nothing happens
    (server.kill if fault == "kill" else server.pause)()
    async with loop_time() as passed:
        assert await slots.acquire(ACME, "a")
    assert passed.seconds < DECISION_SECONDS + SLACK
    await until(lambda: not client.healthy)
    assert [await slots.acquire(ACME, holder) for holder in ("b", "c")] == [True, False]
    assert [await slots.acquire(OTHER, holder) for holder in ("d", "e")] == [True, False]
    await slots.release("b")
    (server.start if fault == "kill" else server.resume)()
    await until(lambda: client.healthy)
    await slots.synchronise()
    assert await server.command("ZCARD", HOLDERS) == ":3"
    for holder in ("before", "a", "d"):
        await slots.release(holder)
    assert await server.command("ZCARD", HOLDERS) == ":0"
    assert slots.occupancy()["headgate_slots_in_use"]() == 0


async def test_a_release_that_redis_did_not_hear_is_told_again(server: RedisServer) -> None:
    """L6, fault 8: replies are lost, both of the taking and of the giving back."""
    async with proxy_to(server.port) as proxy, redis_client(connector(proxy.url), pool_min=2) as client:
        slots = RedisSlots(client, SystemClock(), 10, lambda caller: 10)
        for number in range(10):
            proxy.lose_replies = number % 2 == 0
            assert await slots.acquire(ACME, str(number))
            proxy.lose_replies = False
            await until(lambda: client.healthy)
        await slots.synchronise()
        assert await server.command("ZCARD", HOLDERS) == ":10"
        proxy.silent = True
        for number in range(10):
            await slots.release(str(number))
        proxy.silent = False
        await until(lambda: client.healthy)
        await slots.synchronise()
        assert await server.command("ZCARD", HOLDERS) == ":0"
        assert await server.command("ZCARD", TENANT + "acme") == ":0"


async def test_scripts_that_are_flushed_again_and_again(server: RedisServer, client: RedisClient) -> None:
    """Fault 18."""
    slots = RedisSlots(client, SystemClock(), 5, lambda caller: 5)
    for number in range(50):
        await server.command("SCRIPT", "FLUSH")
        assert await slots.acquire(ACME, str(number))
        await server.command("SCRIPT", "FLUSH")
        await slots.release(str(number))
    assert await server.command("ZCARD", HOLDERS) == ":0"


async def test_a_full_redis_still_counts_slots(server: RedisServer, client: RedisClient) -> None:
    """Fault 16."""
    await client.execute("SET", "large", "x" * 2_000_000)
    await server.command("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
    here, there = (RedisSlots(client, SystemClock(), 2, lambda caller: 2) for _ in range(2))
    assert [await here.acquire(ACME, "a"), await there.acquire(ACME, "b"), await here.acquire(ACME, "c")] == [
        True,
        True,
        False,
    ]
    await there.release("b")
    assert await here.acquire(ACME, "c")
