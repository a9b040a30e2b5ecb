"""Redis fails over to a replica that was behind (fault 15): what it had acknowledged to a process, it has forgotten.

The fleet is in tests/fleet/test_failover.py, by chance; here is each loss by itself.
"""

import contextlib
from collections.abc import AsyncIterator

import pytest

from adapters.redis.admission_keys import HOLDERS, MESSAGES, TAKEN
from adapters.redis.script import Script
from domain.delta import Delta
from domain.errors import StreamNotResumableError
from domain.model import Caller, Lease
from tests.adapters.queue_fleet import LEASE, STARTED, Fleet, overdue
from tests.contracts.events import END

OUTPUT = Delta("x")

DUMP = Script(
    "dump",
    """
    local all = {}
    for _, key in ipairs(redis.call('KEYS', 'headgate:*')) do
        all[#all + 1] = key
        all[#all + 1] = redis.call('DUMP', key)
        all[#all + 1] = redis.call('PTTL', key)
    end
    return all
    """,
)


@contextlib.asynccontextmanager
async def forgotten(fleet: Fleet) -> AsyncIterator[None]:
    """What happens to the queue, the slots and the streams meanwhile, Redis does not know afterwards."""
    known = await fleet.client.evalsha(DUMP, (), timeout=5.0)
    assert isinstance(known, list)
    yield
    now = await fleet.client.evalsha(DUMP, (), timeout=5.0)
    assert isinstance(now, list)
    keys = [key for key in now[::3] if isinstance(key, bytes) and not key.startswith(b"headgate:process:")]
    await fleet.client.execute("DEL", *keys, timeout=5.0)
    for key, value, ttl in zip(known[::3], known[1::3], known[2::3], strict=True):
        assert isinstance(key, bytes)
        assert isinstance(value, bytes)
        assert isinstance(ttl, int)
        if not key.startswith(b"headgate:process:"):
            await fleet.client.execute("RESTORE", key, max(ttl, 0), value, timeout=5.0)


async def test_who_took_a_job_over_keeps_it_though_redis_forgets_that_q7(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    async with forgotten(fleet):
        taken = await overdue(fleet, there)
        assert taken is not None
        assert taken.lease is not None
        await there.log.adopt(taken.job.info, taken.lease)
    await there.append(taken.lease, STARTED, OUTPUT)
    with pytest.raises(StreamNotResumableError):
        await here.append(Lease("s1", 1), STARTED)
    await here.queue.remove("s1")
    assert await here.queue.take(()) is None
    assert await there.queue.take(()) is None
    await there.append(taken.lease, END)
    for key in (MESSAGES, TAKEN):
        assert await fleet.count("EXISTS", key) == 0


async def test_of_two_with_the_same_fence_one_appends_q7_s8(fleet: Fleet) -> None:
    """The one that Redis knows: the other's number is one that it has given twice."""
    here, there, third = fleet.start(), fleet.start(), fleet.start()
    await here.wait("s1")
    async with forgotten(fleet):
        first = await overdue(fleet, there)
        assert first is not None
        assert first.lease is not None
        await there.log.adopt(first.job.info, first.lease)
    second = await overdue(fleet, third)
    assert second is not None
    assert second.lease == first.lease == Lease("s1", 2)
    await third.log.adopt(second.job.info, second.lease)
    with pytest.raises(StreamNotResumableError):
        await there.append(first.lease, STARTED, OUTPUT)
    await third.append(second.lease, STARTED, OUTPUT, END)


async def test_what_was_served_is_not_served_again_by_its_own_process_q3(fleet: Fleet) -> None:
    """Its slot, its place and its job are gone, and nobody is kept waiting behind it."""
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    await here.wait("s2", "b")
    async with forgotten(fleet):
        assert await here.queue.take(()) is not None
        await here.append(Lease("s1", 1), STARTED, OUTPUT, END)
    assert await there.queue.take(()) is None  # this one's owner is told first
    following = await here.queue.take(())
    assert following is not None
    assert following.stream_id == "s2"
    assert await fleet.count("EXISTS", MESSAGES) == 0
    assert await fleet.count("HLEN", TAKEN) == 1
    assert await fleet.client.execute("KEYS", "headgate:queue:job:*", timeout=5.0) == [b"headgate:queue:job:s2"]


async def test_many_that_were_served_go_at_once_and_keep_no_slot_l6(fleet: Fleet) -> None:
    """Or who waits would have to wait for them, slot by slot."""
    here = fleet.start(total=5)
    names = [f"s{number}" for number in range(40)]
    for name in names:
        await here.wait(name)
    async with forgotten(fleet):
        for name in names:
            await here.queue.remove(name)
    await here.wait("last")
    taken = await here.queue.take(())
    assert taken is not None
    assert taken.stream_id == "last"
    assert await fleet.client.execute("ZRANGE", HOLDERS, 0, -1, timeout=5.0) == [b"last"]


async def test_what_runs_keeps_its_slot_though_redis_has_it_in_the_line_again_l6(fleet: Fleet) -> None:
    here = fleet.start()
    await here.wait("s1")
    async with forgotten(fleet):
        assert await here.queue.take(()) is not None
        assert await here.slots.acquire(Caller("a"), "s1")
    await here.slots.synchronise()
    assert await here.queue.take(()) is None
    await here.append(Lease("s1", 1), STARTED, OUTPUT)
    await fleet.client.advance(LEASE - 1)
    assert await here.slots.acquire(Caller("a"), "s2")  # looks after leases that are over
    assert await fleet.count("ZCARD", HOLDERS) == 2


async def test_a_process_that_looks_is_alive_though_nobody_waits_in_it_q8(fleet: Fleet) -> None:
    """So what Redis has of it, it is told of before it is taken from it."""
    here, there = fleet.start(total=0), fleet.start()
    await here.wait("s1")
    for _ in range(20):
        await fleet.client.advance(1.0)
        assert await here.queue.take(()) is None  # there is no slot for it
    assert await there.queue.take(()) is None
    await fleet.client.advance(LEASE + 1)
    taken = await there.queue.take(())
    assert taken is not None
    assert taken.lease == Lease("s1", 2)
