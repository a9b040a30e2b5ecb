"""Queued requests whose replica is dead, asleep or leaving are served by another; and by workers (Q7, Q8)."""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.redis.admission_keys import HOLDERS
from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import call
from tests.fleet.readers import StreamReader, whole_log
from tests.fleet.worker import count, enlisted, recorded, worker
from tests.redis_server import RedisServer

WITHIN = 20.0
"""Seconds from a death to the end of what had not begun (Q8): a lease and a look."""
LEASE = 15.0
SLOTS = 2
FIRST, SECOND = range(2)


@pytest.fixture
def narrow() -> Iterator[Fleet]:
    environ = {"STREAM_MAX_CONCURRENT": str(SLOTS), "STREAM_ORPHAN_GRACE": "60"}
    with RedisServer() as redis, running_fleet(redis, count=2, environ=environ) as fleet:
        yield fleet


async def queued(fleet: Fleet, replica: int, count: int, tag: str) -> list[str]:
    """So many streams that wait in this replica; their ids in the order of the line."""
    return [await fleet.begin(replica, f"{tag} {number}", max_tokens=20) for number in range(count)]


async def in_line(fleet: Fleet) -> int:
    return await count(fleet, "HLEN", "headgate:queue:messages")


@contextlib.asynccontextmanager
async def held_slots(fleet: Fleet) -> AsyncIterator[None]:
    """All slots are somebody's who does nothing with them."""
    for number in range(SLOTS):
        await fleet.redis.command("ZADD", HOLDERS, 2**52, f"nobody {number}")
    yield
    for number in range(SLOTS):
        await fleet.redis.command("ZREM", HOLDERS, f"nobody {number}")


def signal_all(fleet: Fleet, number: signal.Signals) -> None:
    """To each replica."""
    for replica in fleet.replicas:
        replica.process.send_signal(number)


async def begun_by_a_worker(fleet: Fleet, tag: str) -> list[str]:
    """So many jobs as there are slots, whose upstream calls a worker has begun and nobody has heard of."""
    await enlisted(fleet)
    async with held_slots(fleet):
        jobs = [await fleet.begin(FIRST, f"{tag} {n}", model="late", max_tokens=1) for n in range(SLOTS)]
        # Asleep, as any replica that looks in the moment when a slot comes free may serve what it has waiting.
        signal_all(fleet, signal.SIGSTOP)

    async def begun() -> bool:
        return bool((await fleet.seen("late"))["open"] == SLOTS)

    try:
        await eventually(begun, 10.0)
    finally:
        signal_all(fleet, signal.SIGCONT)
    return jobs


async def at_rest(fleet: Fleet) -> None:
    """Nothing waits, nothing is held, and no job is left that could be begun again (L6, Q3)."""

    async def holds() -> bool:
        keys = ("headgate:queue:messages", "headgate:queue:ring", "headgate:slots:all")
        counts = [await count(fleet, "EXISTS", key) for key in keys]
        return not any(counts) and (await fleet.seen("ok-slow"))["open"] == 0

    await eventually(holds, WITHIN)


async def test_a_killed_replica_s_queue_is_served_by_another_and_nothing_twice_q7(
    narrow: Fleet, rng: random.Random
) -> None:
    """Q7, Q8, fault 24: those without output are served, those with output end as S8 says."""
    tag = f"crash {rng.random()}"
    running = [await narrow.begin(FIRST, f"{tag} running {number}", max_tokens=2_000) for number in range(SLOTS)]
    waiting = await queued(narrow, FIRST, 5, tag)
    readers = [StreamReader(stream_id) for stream_id in [*running, *waiting]]
    following = [asyncio.create_task(reader.resume(narrow.url(SECOND))) for reader in readers]
    before = (await narrow.seen("ok-slow"))["requests"]
    await asyncio.sleep(rng.uniform(0.2, 0.8))
    narrow.replicas[FIRST].process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(WITHIN + 5):
        await asyncio.gather(*following)
    for reader in readers:
        reader.check()
    assert all(b'"code":"producer_lost"' in reader.terminal for reader in readers[:SLOTS])
    assert all(b"event: complete" in reader.terminal for reader in readers[SLOTS:])
    assert (await narrow.seen("ok-slow"))["requests"] == before + len(waiting)
    await at_rest(narrow)


async def test_a_sleeping_replica_holds_up_nobody_and_what_was_its_is_served_once_q7(
    narrow: Fleet, rng: random.Random
) -> None:
    """Fault 25: its readers have their answers when it wakes; the line did not wait for it."""
    tag = f"sleep {rng.random()}"
    for number in range(SLOTS):
        await narrow.begin(SECOND, f"{tag} running {number}", max_tokens=60)
    async with contextlib.AsyncExitStack() as open_streams:
        reader = StreamReader()
        answer = await open_streams.enter_async_context(narrow.start(FIRST, f"{tag} here", max_tokens=20))
        here = asyncio.create_task(reader.take(answer))
        waiting = await queued(narrow, FIRST, 3, tag)
        behind = await narrow.begin(SECOND, f"{tag} behind", max_tokens=20)
        narrow.replicas[FIRST].process.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(WITHIN):
            logs = await asyncio.gather(*(whole_log(narrow.url(SECOND), one) for one in [*waiting, behind]))
        assert all(b"event: complete" in log[-1] for log in logs)
        narrow.replicas[FIRST].process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(WITHIN):
            await here
        reader.check()
        assert b"event: complete" in reader.terminal
    assert (await narrow.seen("ok-slow"))["requests"] == SLOTS + 5
    await at_rest(narrow)


async def test_a_replica_that_goes_leaves_its_queue_to_the_others_s12(narrow: Fleet, rng: random.Random) -> None:
    """S12: SIGTERM twice, so that it drains nothing: what waits is served all the same."""
    tag = f"term {rng.random()}"
    for number in range(SLOTS):
        await narrow.begin(SECOND, f"{tag} running {number}", max_tokens=100)
    waiting = await queued(narrow, FIRST, 3, tag)
    process = narrow.replicas[FIRST].process
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
    assert await asyncio.to_thread(process.wait, 10) == 0
    async with asyncio.timeout(WITHIN):
        logs = await asyncio.gather(*(whole_log(narrow.url(SECOND), one) for one in waiting))
    assert all(b"event: complete" in log[-1] for log in logs)
    await at_rest(narrow)


async def test_a_cancelled_job_is_never_served_wherever_it_waits_q6(narrow: Fleet, rng: random.Random) -> None:
    """Q6: cancelled through the other replica, the owner being alive, and then dead."""
    tag = f"cancel {rng.random()}"
    for number in range(SLOTS):
        await narrow.begin(SECOND, f"{tag} running {number}", max_tokens=150)
    alive, dead = await queued(narrow, FIRST, 2, tag)
    assert (await call(narrow.url(SECOND), "DELETE", f"/v1/streams/{alive}"))[0].status in {202, 204}
    assert b"event: cancelled" in (await whole_log(narrow.url(SECOND), alive))[-1]
    assert await in_line(narrow) == 1
    narrow.replicas[FIRST].process.send_signal(signal.SIGKILL)
    await call(narrow.url(SECOND), "DELETE", f"/v1/streams/{dead}")
    async with asyncio.timeout(WITHIN):
        assert b"event: cancelled" in (await whole_log(narrow.url(SECOND), dead))[-1]
    assert (await narrow.seen("ok-slow"))["requests"] == SLOTS
    await at_rest(narrow)


async def test_a_worker_serves_what_waits_and_a_dead_one_is_replaced_q8(narrow: Fleet, rng: random.Random) -> None:
    """Q7, Q8: killed before its jobs had any output, they are begun again, once; the readers notice nothing."""
    tag = f"worker {rng.random()}"
    with worker(narrow, STREAM_MAX_CONCURRENT=str(SLOTS)) as first:
        jobs = await begun_by_a_worker(narrow, tag)
        readers = [StreamReader(stream_id) for stream_id in jobs]
        following = [asyncio.create_task(reader.resume(narrow.url(FIRST))) for reader in readers]
        first.kill()
        async with asyncio.timeout(WITHIN + 5):
            await asyncio.gather(*following)
    for reader in readers:
        reader.check()
        assert b"event: complete" in reader.terminal
    assert (await narrow.seen("late"))["requests"] == 2 * SLOTS
    await at_rest(narrow)

    async def nobody_waits() -> bool:
        return not any([(await replica.metrics())["headgate_queue_depth"] for replica in narrow.replicas])

    await eventually(nobody_waits)  # what the workers took is theirs


async def test_a_worker_that_sleeps_with_a_job_for_two_leases_answers_nothing_when_it_wakes_q3_q7(
    rng: random.Random, tmp_path: Path
) -> None:
    """Fault 25: another has served its job by then: one answer, one record, though it has a first event now."""
    environ = {"STREAM_MAX_CONCURRENT": str(SLOTS), "STREAM_ORPHAN_GRACE": "60", "LOG_LEVEL": "info"}
    log = tmp_path / "worker"
    tag = f"asleep {rng.random()}"
    with (
        RedisServer() as redis,
        running_fleet(redis, count=2, environ=environ) as fleet,
        worker(fleet, log, **environ) as asleep,
    ):
        jobs = await begun_by_a_worker(fleet, tag)
        asleep.send_signal(signal.SIGSTOP)
        woken = asyncio.get_running_loop().time() + 2 * LEASE
        async with asyncio.timeout(WITHIN + 10):
            logs = await asyncio.gather(*(whole_log(fleet.url(FIRST), one, seconds=WITHIN + 10) for one in jobs))
        assert all(b"event: complete" in one[-1] for one in logs)
        await asyncio.sleep(max(0.0, woken - asyncio.get_running_loop().time()))
        asleep.send_signal(signal.SIGCONT)

        async def hung_up() -> bool:
            return bool((await fleet.seen("late"))["open"] == 0)

        await eventually(hung_up, 10.0)
        await asyncio.sleep(1.0)
        asleep.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(asleep.wait, 10) == 0
        assert [await whole_log(fleet.url(SECOND), one) for one in jobs] == logs
        assert (await fleet.seen("late"))["requests"] == 2 * SLOTS
        lines = recorded(log.read_text(), *(replica.log() for replica in fleet.replicas))
        assert lines == dict.fromkeys(jobs, 1)
        await at_rest(fleet)


async def test_a_worker_ends_when_it_is_told_to(narrow: Fleet) -> None:
    with worker(narrow) as process:
        await enlisted(narrow)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == 0
