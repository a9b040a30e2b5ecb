"""Admission with slots and queue on Redis: a slot that is free is at once that of who may have it (L6, Q1, Q8)."""

import asyncio

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.limiter import MemoryLimiter
from adapters.redis.admission_keys import HOLDERS, TENANT
from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.queue import RedisMessageQueue
from adapters.redis.slots import RedisSlots
from domain.errors import QueueFullError
from domain.model import Tier
from domain.services.admission import Admission, Ticket
from tests.adapters.queue_fleet import Fleet, overdue
from tests.jobs import job
from tests.redis_cases import Patient, redis_client


def admission(client: RedisClient, process: str, total: int, each: int, depth: int = 100) -> Admission:
    """Of one process; nothing looks by itself, but when it is told to."""
    clock, tier = SystemClock(), Tier(60, 6000, each)
    queue = RedisMessageQueue(client, process, depth, depth, total, 60.0)
    slots = RedisSlots(client, clock, total, lambda _: each)
    return Admission(clock, MemoryLimiter(clock, {}), slots, queue, lambda _: tier, wait=60.0)


@pytest.mark.parametrize(("total", "each"), [(1, 10), (10, 1)], ids=["in all", "of the caller"])
async def test_a_slot_that_comes_free_just_after_a_refusal_is_had_at_once_l6(url: str, total: int, each: int) -> None:
    """Nothing that this process has just heard of the slots keeps it from one that it is told of."""
    async with redis_client(connector(url), kind=Patient) as client:
        here, there = (admission(client, name, total, each) for name in ("here", "there"))
        holder = await there.enter(job("a", "s0"))
        waits = await here.enter(job("a", "s1"))
        assert not waits.granted.done()
        await there.leave(holder)
        here.poke()
        async with asyncio.timeout(5.0):
            await waits.granted
        assert await client.execute("ZCARD", HOLDERS) == 1
        await here.leave(waits)
        assert await client.execute("ZCARD", HOLDERS) == 0


async def test_a_caller_who_floods_a_closed_queue_keeps_no_other_from_a_free_slot_q1(url: str) -> None:
    """`QUEUE_MAX_DEPTH=0`: who has all the slots of its own is refused, and nobody else."""
    async with redis_client(connector(url), kind=Patient) as client:
        here, there = (admission(client, name, 100, 1, depth=0) for name in ("here", "there"))
        holder = await here.enter(job("a", "s0"))
        flood = [here.enter(job("a", f"a{number}")) for number in range(50)]
        others = [(here, there)[number % 2].enter(job(f"b{number}", f"b{number}")) for number in range(50)]
        told = await asyncio.gather(*flood, *others, return_exceptions=True)
        assert all(isinstance(one, QueueFullError) for one in told[:50])
        tickets = [one for one in told if isinstance(one, Ticket)]
        assert len(tickets) == 50
        assert await client.execute("ZCARD", HOLDERS) == 51
        for ticket in tickets:
            await here.leave(ticket) if int(ticket.holder[1:]) % 2 == 0 else await there.leave(ticket)
        await here.leave(holder)
        assert await client.execute("ZCARD", HOLDERS) == 0


async def test_a_full_line_of_a_caller_at_its_bound_lets_others_pass_and_nobody_who_could_wait_q1_q4(url: str) -> None:
    async with redis_client(connector(url), kind=Patient) as client:
        here, there = (admission(client, name, 3, 1, depth=1) for name in ("here", "there"))
        holder = await here.enter(job("a", "s0"))
        waits = await here.enter(job("a", "s1"))
        other = await there.enter(job("b", "s2"))
        assert (waits.granted.done(), other.granted.done()) == (False, True)
        with pytest.raises(QueueFullError):
            await there.enter(job("a", "s3"))
        # A's slot is free in Redis, and A is not let in yet: what comes now does not take the last one before it.
        await client.execute("ZREM", HOLDERS, "s0")
        await client.execute("ZREM", f"{TENANT}a", "s0")
        with pytest.raises(QueueFullError):
            await there.enter(job("c", "s4"))
        for process, ticket in ((here, holder), (here, waits), (there, other)):
            await process.leave(ticket)
        assert await client.execute("ZCARD", HOLDERS) == 0


async def test_a_take_that_is_undone_keeps_no_slot_l6(fleet: Fleet) -> None:
    """Whoever it is of: a slot that is kept for nobody is missing to those who wait, for as long as its lease."""
    here, there = fleet.start(), fleet.start()
    message = await here.wait("s1")
    assert await here.queue.take(()) == message
    assert await fleet.count("ZCARD", HOLDERS) == 1
    await here.queue.restore(message)
    assert (await fleet.count("ZCARD", HOLDERS), await fleet.count("ZCARD", f"{TENANT}a")) == (0, 0)
    taken = await overdue(fleet, there)
    assert taken is not None
    assert await fleet.count("ZCARD", HOLDERS) == 1
    await there.queue.restore(taken)
    assert (await fleet.count("ZCARD", HOLDERS), await fleet.count("ZCARD", f"{TENANT}a")) == (0, 0)


async def test_who_leaves_while_it_is_taken_keeps_no_slot_l6_q6(fleet: Fleet) -> None:
    here = fleet.start()
    await here.wait("s1")
    taking = asyncio.create_task(here.queue.take(()))
    await asyncio.sleep(0)  # it is on its way to Redis
    assert await here.queue.remove("s1")
    assert await taking is None
    assert (await fleet.count("ZCARD", HOLDERS), await fleet.count("ZCARD", f"{TENANT}a")) == (0, 0)
