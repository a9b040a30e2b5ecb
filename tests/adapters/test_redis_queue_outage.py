"""The queue on Redis while Redis is away, and when it is back with its data or without (Q9)."""

import asyncio

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.limiter import MemoryLimiter
from adapters.redis.admission_keys import LINES, MESSAGES
from adapters.redis.client import RedisClient
from adapters.redis.queue import RedisMessageQueue
from adapters.redis.slots import RedisSlots
from domain.errors import QueueError, QueueFullError
from domain.model import Tier
from domain.services.admission import Admission
from tests.jobs import job, message
from tests.loop_time import loop_time
from tests.redis_server import RedisServer
from tests.service import until


async def test_nobody_joins_and_who_waits_is_served_here_first_come_first_q9(
    server: RedisServer, client: RedisClient
) -> None:
    queue = RedisMessageQueue(client, "here", 100, 50, 10, 60.0)
    for number in range(3):
        await queue.put(message("a", f"s{number}"))
    server.kill()
    with pytest.raises(QueueError):
        await queue.put(message("b", "late"))
    assert await queue.positions() == {}
    first = await queue.take(())
    assert first == message("a", "s0")
    await queue.restore(first)  # its caller has all the slots that it may have
    other = await queue.take({"a"})
    assert other == message("b", "late")
    assert [await queue.take(()) for _ in range(4)] == [*(message("a", f"s{number}") for number in range(3)), None]


@pytest.mark.parametrize("lost", [True, False])
async def test_when_redis_is_back_each_who_waits_is_in_the_line_once_q9(
    server: RedisServer, client: RedisClient, lost: bool
) -> None:
    """Fault 21: also after FLUSHALL, where nothing was noticed."""
    queue = RedisMessageQueue(client, "here", 100, 50, 10, 60.0)
    names = [f"s{number}" for number in range(3)]
    for name in names:
        await queue.put(message("a", name))
    if lost:
        await client.execute("FLUSHALL", timeout=5.0)
    else:
        server.kill()
        with pytest.raises(QueueError):
            await queue.put(message("a", "late"))
        names.append("late")
        server.start()
        await until(lambda: client.healthy, 10.0)
    places = {name: ahead for ahead, name in enumerate(names)}
    async with asyncio.timeout(10.0):
        # A look that takes longer than its deadline tells nothing.
        while await queue.positions() != places:  # noqa: ASYNC110 - what is waited for lies in Redis
            await asyncio.sleep(0.005)
    for _ in range(2):
        await queue.positions()
        assert await client.execute("HLEN", MESSAGES, timeout=5.0) == len(names)
        assert await client.execute("ZCARD", f"{LINES}a", timeout=5.0) == len(names)


async def test_the_wait_without_redis_is_short_and_bounded_q9(server: RedisServer, client: RedisClient) -> None:
    clock, tier = SystemClock(), Tier(60, 6000, 10)
    queue, slots = RedisMessageQueue(client, "here", 100, 50, 1, 60.0), RedisSlots(client, clock, 1, lambda _: 10)
    admission = Admission(clock, MemoryLimiter(clock, {}), slots, queue, lambda _: tier, wait=60.0)
    holder = await admission.enter(job("a", "s0"))
    server.kill()
    async with loop_time() as passed:
        with pytest.raises(QueueFullError, match="cannot be reached") as caught:
            await admission.enter(job("a", "s1"))
    assert caught.value.retry_after == 1
    assert 1.0 < passed.seconds < 4.0
    await admission.leave(holder)
    again = await admission.enter(job("a", "s2"))
    assert again.granted.done()
    await admission.leave(again)
