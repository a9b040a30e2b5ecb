"""A producing replica dies, another one sleeps past its lease: their readers lose nothing that anybody saw (S8)."""

import asyncio
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.readers import StreamReader, whole_log
from tests.redis_server import RedisServer

KILLED, STOPPED, THIRD, FOURTH = range(4)
STREAMS = 8
WITHIN = 20.0
"""Seconds from a producer's death to the end of its streams (S8)."""
LONG = 2_000


@pytest.fixture
def doomed() -> Iterator[Fleet]:
    with RedisServer() as redis, running_fleet(redis, count=4) as fleet:
        yield fleet


@dataclass
class Watched:
    """A stream with a reader where it is made and one elsewhere, each on one connection."""

    here: StreamReader
    elsewhere: StreamReader
    here_done: "asyncio.Task[None]"
    elsewhere_done: "asyncio.Task[int]"

    @property
    def stream_id(self) -> str:
        return self.elsewhere.stream_id


async def watch(fleet: Fleet, group: asyncio.TaskGroup, number: int, elsewhere: int, prompt: str) -> Watched:
    here, there = StreamReader(), StreamReader()
    begun = asyncio.Event()

    async def make() -> None:
        async with fleet.start(number, prompt, max_tokens=LONG) as answer:
            there.stream_id = here.stream_id = answer.stream_id
            begun.set()
            await here.take(answer)

    making = group.create_task(make())
    await begun.wait()
    return Watched(here, there, making, group.create_task(there.resume(fleet.url(elsewhere))))


async def position_of(fleet: Fleet, stream_id: str) -> int:
    """How many events the log in Redis has; it must be closed, and its last entry must stand there."""
    script = """
    local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
    return last[1] .. ' ' .. redis.call('HGET', KEYS[2], 'next') .. ' ' .. redis.call('HGET', KEYS[2], 'closed')
    """
    keys = (f"headgate:log:{{{stream_id}}}", f"headgate:meta:{{{stream_id}}}")
    last, position, closed = (await fleet.redis.command("EVAL", script, 2, *keys)).split(" ")
    assert (last, closed) == (f"{position}-0", "1")
    return int(position)


async def check_end(fleet: Fleet, watched: Watched, dead_since: float) -> list[bytes]:
    """Who is elsewhere has the end in time; the log begins with all that anybody saw."""
    await watched.elsewhere_done
    assert watched.elsewhere.ended
    assert asyncio.get_running_loop().time() - dead_since < WITHIN
    watched.elsewhere.check()
    whole = await whole_log(fleet.url(FOURTH), watched.stream_id)
    assert watched.elsewhere.events == whole
    assert b'"code":"producer_lost"' in whole[-1]
    return whole


async def test_a_killed_and_a_sleeping_producer_are_taken_over_and_the_sleeper_appends_nothing_s8(
    doomed: Fleet, rng: random.Random
) -> None:
    """S8, fault 27, and 25 for streams: kill -9 and SIGSTOP at a random point, their waits overlapping."""
    sleeper = doomed.replicas[STOPPED].process
    async with asyncio.TaskGroup() as group:
        streams = {
            number: [
                await watch(doomed, group, number, rng.choice([THIRD, FOURTH]), f"takeover {n} {number} {rng.random()}")
                for n in range(STREAMS)
            ]
            for number in (KILLED, STOPPED)
        }
        await asyncio.sleep(rng.uniform(0.1, 1.5))
        sleeper.send_signal(signal.SIGSTOP)
        doomed.replicas[KILLED].process.send_signal(signal.SIGKILL)
        dead_since = asyncio.get_running_loop().time()

        for watched in streams[KILLED]:
            await watched.here_done
            seen = watched.here.events[:]
            whole = await check_end(doomed, watched, dead_since)
            assert whole[: len(seen)] == seen
            # Who was cut comes back elsewhere, and then to nobody's harm again.
            assert await watched.here.resume(doomed.url(THIRD)) == 200
            assert watched.here.events == whole
            assert await watched.here.resume(doomed.url(FOURTH)) == 204

        logs = {watched.stream_id: await check_end(doomed, watched, dead_since) for watched in streams[STOPPED]}
        sleeper.send_signal(signal.SIGCONT)
        for watched in streams[STOPPED]:
            await watched.here_done
            assert watched.here.events == logs[watched.stream_id]

    async def hung_up() -> bool:
        return bool((await doomed.seen("ok-slow"))["open"] == 0)

    await eventually(hung_up, 2.0)
    for stream_id, whole in logs.items():
        assert await position_of(doomed, stream_id) == len(whole)
        assert await whole_log(doomed.url(THIRD), stream_id) == whole
        assert await whole_log(doomed.url(STOPPED), stream_id) == whole
    metrics = await doomed.replicas[STOPPED].metrics()
    assert (metrics["headgate_open_generations"], metrics["headgate_slots_in_use"]) == (0, 0)
    served = await doomed.begin(STOPPED, f"awake {rng.random()}", max_tokens=5)
    assert b"event: complete" in (await whole_log(doomed.url(THIRD), served))[-1]
