"""What only the queue on Redis promises: messages of other processes, streams that pass with them, and redelivery."""

import asyncio

import pytest

from adapters.redis.admission_keys import DUE, HOLDERS, MESSAGES, OWNERS, RING, TAKEN, TENANT, WORKERS
from adapters.redis.job_codec import MAX_JOB_BYTES, UnreadableJobError, decode_job, encode_job
from domain.delta import Delta
from domain.errors import StreamNotResumableError
from domain.model import Caller, Event, Lease, Message
from ports.fleet import FleetEvent
from tests import jobs
from tests.adapters.queue_fleet import LEASE, QUEUED, STARTED, Fleet, overdue


async def test_the_process_whose_message_it_is_is_told_first(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    message = await here.wait("s1")
    assert await there.queue.take(()) is None
    assert await here.queue.take(()) == message
    assert await there.queue.take(()) is None


async def test_who_does_not_look_loses_the_message_and_its_stream_q7(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    await here.wait("s1", prompt="half \ud800 pair")
    taken = await overdue(fleet, there)
    assert taken is not None
    assert taken.lease == Lease("s1", 2)
    assert (taken.deliveries, taken.holder, taken.cancelled) == (1, "s1.2", False)
    assert taken.job == jobs.job("a", "s1", "half \ud800 pair")
    assert taken.wait == pytest.approx(59.7, abs=0.01)
    await there.log.adopt(taken.job.info, taken.lease)
    await there.append(taken.lease, STARTED, Delta("x"))
    with pytest.raises(StreamNotResumableError):
        await here.append(Lease("s1", 1), STARTED)
    assert await here.queue.positions() == {}
    assert not await here.queue.remove("s1")


async def test_its_readers_follow_the_stream_to_where_it_goes(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    reader = await here.log.follow("s1")
    assert reader is not None
    assert (await reader.read()) is not None
    taken = await overdue(fleet, there)
    assert taken is not None and taken.lease is not None  # noqa: PT018
    await there.log.adopt(taken.job.info, taken.lease)
    assert await there.log.read_elsewhere("s1")
    await there.append(taken.lease, STARTED, Delta("x"))
    seen: list[Event] = []
    while len(seen) < 2:
        batch = await reader.read()
        assert batch is not None
        seen += batch.events
    assert seen == [STARTED, Delta("x")]
    assert here.taken == ["s1"]
    reader.close()


async def test_a_worker_does_not_wait_for_the_owner(fleet: Fleet) -> None:
    here, worker = fleet.start(), fleet.start()
    await here.wait("s1")
    worker.queue.enlist()
    await worker.queue.reclaim()
    assert await fleet.count("ZCARD", WORKERS) == 1
    taken = await worker.queue.take(())
    assert taken is not None
    assert taken.lease == Lease("s1", 2)
    worker.queue.retire()
    await here.wait("s2")
    assert await worker.queue.take(()) is None


async def test_a_free_slot_is_told_to_a_worker_before_all_others(fleet: Fleet) -> None:
    here, worker = fleet.start(total=1), fleet.start(total=1)
    assert await here.slots.acquire(Caller("a"), "held")
    await here.wait("s1")
    worker.queue.enlist()
    await worker.queue.reclaim()
    told: list[str] = []
    worker.log.listen(FleetEvent.SLOT, told.append)
    assert not await here.slots.release("held")
    while not told:
        await here.clock.sleep(0)
    assert told == ["s1"]
    await fleet.client.advance(LEASE + 1)
    assert await here.slots.acquire(Caller("b"), "other") is False  # the line comes first
    await fleet.client.execute("DEL", RING, timeout=5.0)
    assert await here.slots.acquire(Caller("b"), "other")
    await here.wait("s2", "c")
    await fleet.client.execute("DEL", OWNERS, timeout=5.0)
    assert await here.slots.release("other")  # there is nobody to tell: look yourself
    assert await fleet.count("ZCARD", WORKERS) == 0


async def test_what_dies_without_output_is_begun_again_first_of_all_q7(fleet: Fleet) -> None:
    """Q7, Q8, fault 24."""
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    await here.wait("s2")
    assert (await here.queue.take(())) is not None
    await here.queue.reclaim()
    await fleet.client.advance(LEASE - 1)
    await there.queue.reclaim()
    assert await fleet.count("HLEN", MESSAGES) == 1
    await fleet.client.advance(2)
    await there.queue.reclaim()
    assert [one.stream_id for one in await there.queue.list()] == ["s1", "s2"]
    assert (await there.queue.list())[0].deliveries == 1
    again = await there.queue.take(())
    assert again is not None
    assert (again.stream_id, again.deliveries, again.lease) == ("s1", 2, Lease("s1", 2))


async def test_what_has_output_is_not_begun_again_q7(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    assert await here.queue.take(()) is not None
    await here.append(Lease("s1", 1), STARTED, Delta("x"))
    await fleet.client.advance(LEASE + 1)
    await there.queue.reclaim()
    for key in (MESSAGES, TAKEN, DUE):
        assert await fleet.count("EXISTS", key) == 0
    assert await fleet.client.execute("KEYS", "headgate:queue:job:*", timeout=5.0) == []


async def test_who_wakes_up_after_its_lease_hears_that_its_output_is_not_in_the_log_q7(fleet: Fleet) -> None:
    """Fault 25: also if the refusal of its append comes before the word of who took its stream; and once."""
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    assert await here.queue.take(()) is not None
    here.log._follower._listeners = {}  # the word is on its way
    await fleet.client.advance(LEASE + 1)
    await there.queue.reclaim()
    assert await there.queue.take(()) is not None
    with pytest.raises(StreamNotResumableError):
        await here.append(Lease("s1", 1), STARTED, Delta("x"))
    assert here.taken == ["s1"]
    here.log._taken("2 s1")
    assert here.taken == ["s1"]


async def test_who_wakes_up_and_finds_its_answer_ended_does_not_hear_that_it_goes_on_q3(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    assert await here.queue.take(()) is not None
    await here.append(Lease("s1", 1), STARTED, Delta("x"))
    await fleet.client.advance(LEASE + 1)
    reader = await there.log.follow("s1")  # who reads it ends it
    assert reader is not None
    with pytest.raises(StreamNotResumableError):
        await here.append(Lease("s1", 1), Delta("y"))
    assert here.taken == []
    reader.close()


async def test_who_lives_keeps_what_it_took_however_long_it_takes(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    assert await here.queue.take(()) is not None
    for _ in range(4):
        await fleet.client.advance(5)
        await here.append(Lease("s1", 1), STARTED)
        await here.clock.advance(5)
        await there.queue.reclaim()
    assert await fleet.count("HLEN", MESSAGES) == 0
    assert await fleet.count("HLEN", TAKEN) == 1


async def test_a_stream_that_waits_is_not_ended_by_who_reads_it_s8(fleet: Fleet) -> None:
    """S8 holds again as soon as there is output, or no job any more."""
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    await fleet.client.advance(2 * LEASE)
    reader = await there.log.follow("s1")
    assert reader is not None and not reader.ended  # noqa: PT018
    reader.close()
    taken = await there.queue.take(())
    assert taken is not None and taken.lease is not None  # noqa: PT018
    await there.log.adopt(taken.job.info, taken.lease)
    await there.append(taken.lease, Delta("x"))
    await fleet.client.advance(2 * LEASE)
    third = fleet.start()
    late = await third.log.follow("s1")
    assert late is not None
    batch = await late.read()
    assert batch is not None
    assert batch.events[-1].code == "producer_lost"  # type: ignore[union-attr]
    late.close()


async def test_a_cancel_that_nobody_hears_is_kept_for_who_takes_the_job_q6(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    await there.log.cancel_elsewhere("s1")
    await fleet.client.advance(LEASE + 1)
    taken = await there.queue.take(())
    assert taken is not None
    assert taken.cancelled


async def test_what_was_taken_from_another_and_restored_is_anybody_s(fleet: Fleet) -> None:
    here, there, third = fleet.start(), fleet.start(), fleet.start()
    await here.wait("s1")
    taken = await overdue(fleet, there)
    assert taken is not None
    await there.queue.restore(taken)
    again = await third.queue.take(())
    assert again is not None
    assert (again.lease, again.deliveries) == (Lease("s1", 3), 1)


async def test_a_job_that_is_too_large_stays_where_it_is_and_dies_with_its_process(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    message = await here.wait("s1", prompt="x" * MAX_JOB_BYTES)
    assert await overdue(fleet, there) is None
    assert await here.queue.take(()) == message
    await here.wait("s2", prompt="x" * MAX_JOB_BYTES)
    await fleet.client.advance(LEASE + 1)
    assert await there.queue.take(()) is None
    assert await fleet.count("HLEN", MESSAGES) == 0


async def test_a_sleeping_process_with_a_job_that_cannot_travel_holds_up_nobody_else_q4(fleet: Fleet) -> None:
    asleep, here, worker = fleet.start(), fleet.start(), fleet.start()
    large = await asleep.wait("large", "a", prompt="x" * MAX_JOB_BYTES)
    mine = await here.wait("s1", "b")
    assert await here.queue.take(()) is None  # who sleeps is told first
    await fleet.client.advance(0.3)
    assert await here.queue.take(()) == mine
    await here.wait("s2", "b")
    worker.queue.enlist()
    await worker.queue.reclaim()
    other = await worker.queue.take(())
    assert other is not None
    assert (other.stream_id, other.lease) == ("s2", Lease("s2", 2))
    assert await asleep.queue.take(()) == large


async def test_a_worker_leaves_a_job_that_cannot_travel_to_a_process_that_looks_q4(fleet: Fleet) -> None:
    here, worker = fleet.start(), fleet.start()
    large = await here.wait("large", "a", prompt="x" * MAX_JOB_BYTES)
    await here.wait("s1", "b")
    worker.queue.enlist()
    await worker.queue.reclaim()
    assert await worker.queue.take(()) is None  # the slot is offered to who alone can serve it, whose turn it is
    assert await here.queue.take(()) == large


async def test_a_take_leaves_the_leases_of_other_slots_as_long_as_they_were_l6(fleet: Fleet) -> None:
    here = fleet.start()
    assert await here.slots.acquire(Caller("a"), "held")
    await here.wait("s1")
    assert await here.queue.take(()) is not None
    for key in (HOLDERS, f"{TENANT}a"):
        assert await fleet.count("PTTL", key) > 10_000  # type: ignore[operator]
    await fleet.client.advance(5)  # of the process nothing is heard: its renewal is late
    assert await fleet.client.execute("ZSCORE", HOLDERS, "held", timeout=5.0) is not None


async def test_what_may_wait_for_a_day_is_there_after_a_day_q2(fleet: Fleet) -> None:
    """Its process is dead since the first minute."""
    day = 24 * 3600.0
    here, there = fleet.start(wait=day), fleet.start(wait=day)
    await here.wait("s1")
    await fleet.client.advance(day - 1)
    taken = await there.queue.take(())
    assert taken is not None and taken.lease is not None  # noqa: PT018
    assert taken.wait == pytest.approx(1.0, abs=0.01)
    await there.log.adopt(taken.job.info, taken.lease)
    reader = await there.log.follow("s1")
    assert reader is not None
    batch = await asyncio.wait_for(reader.read(), 5)
    assert batch is not None
    assert list(batch.events) == [QUEUED]
    reader.close()


async def test_who_leaves_the_line_leaves_nothing_behind_q6(fleet: Fleet) -> None:
    here = fleet.start()
    await here.wait("s1")
    assert await here.queue.remove("s1")
    await here.wait("s2")
    assert await here.queue.take(()) is not None
    for key in (MESSAGES, RING, HOLDERS):
        assert await fleet.count("EXISTS", key) == (key == HOLDERS)
    assert await fleet.client.execute("KEYS", "headgate:queue:job:*", timeout=5.0) == [b"headgate:queue:job:s2"]


async def test_a_job_of_another_version_is_left_to_it(fleet: Fleet) -> None:
    here, there = fleet.start(), fleet.start()
    await here.wait("s1")
    await fleet.client.execute("SET", "headgate:queue:job:s1", "{}", timeout=5.0)
    assert await overdue(fleet, there) is None
    await fleet.client.advance(LEASE + 1)
    await there.queue.reclaim()
    assert [one.stream_id for one in await there.queue.list()] == ["s1"]


def test_a_job_travels_whole() -> None:
    job = jobs.job("a", "s1")
    parts = [Message("user", [{"type": "text", "text": "\udfff", "n": [1, 2.5, None, True]}], {"name": "x"})]
    job = job._replace(request=job.request._replace(messages=parts, options={"stop": ["a"], "n": 2}))
    assert decode_job(encode_job(job)) == job
    for broken in (b"", b"[]", b"{}", b'{"request":{"messages":[{}]}}', b"\xff"):
        with pytest.raises(UnreadableJobError):
            decode_job(broken)
