"""One request from top to bottom, without a door: hits, joiners, refusals, the queue, grace."""

import asyncio

import pytest

from adapters.memory.unlimited import UnlimitedLimiter
from adapters.providers.demo_scripts import Script, text_pieces
from domain.delta import Usage
from domain.errors import QueueFullError, RateLimitExceededError
from domain.model import (
    CacheStatus,
    CallContext,
    Caller,
    Cancelled,
    Complete,
    Cost,
    Failed,
    Outcome,
    Position,
    Status,
    StatusState,
)
from tests.domain.parts import CALLER, TEXT, House, ask, context, read_all

STALLS = {"stalls": Script(text_pieces(TEXT), stall_at=2)}


async def test_an_equal_request_joins_then_hits_and_the_joiner_is_charged_once_c3_k3() -> None:
    house = House(scripts={"paced": Script(text_pieces(TEXT), delay=1.0)})
    service = house.build()
    first = await service.open(ask("p/paced"), context("t1"))
    second = await service.open(ask("p/paced"), context("t2"))
    assert second.cache is CacheStatus.COALESCED
    assert second.verdict is not None
    assert second.verdict.requests is not None
    assert second.verdict.requests.remaining == 998
    await house.pass_time(10)
    assert await read_all(first) == await read_all(second)
    first.close()
    second.close()
    hit = await service.open(ask("p/paced"), context("t3"))
    assert (hit.cache, hit.verdict) == (CacheStatus.HIT_L1, None)
    assert isinstance((await read_all(hit))[-1], Complete)
    hit.close()
    assert house.demo.calls == 1
    assert [(record.thread_id, record.cache, record.outcome) for record in house.recorder.records] == [
        ("t1", CacheStatus.MISS, Outcome.SERVED),
        ("t2", CacheStatus.COALESCED, Outcome.SERVED),
        ("t3", CacheStatus.HIT_L1, Outcome.SERVED),
    ]


async def test_each_reader_is_told_who_answers_with_the_first_event_r7() -> None:
    house = House(scripts={"late": Script(text_pieces(TEXT), first_delay=5.0)})
    service = house.build()
    first, second = [await service.open(ask("p/late"), context()) for _ in range(2)]
    await house.pass_time(2)
    assert (first.target, second.target) == (None, None)
    await house.pass_time(4)
    assert (first.target, second.target) == ("p/late", "p/late")
    for attachment in (first, second):
        assert isinstance((await read_all(attachment))[-1], Complete)
        attachment.close()
    hit = await service.open(ask("p/late"), context())
    assert hit.target is None  # it is in the answer
    hit.close()


async def test_attaching_resumes_and_keeps_the_work_alive_s3_s7() -> None:
    house = House(scripts={"paced": Script(text_pieces(TEXT), delay=2.0)})
    service = house.build()
    first = await service.open(ask("p/paced"), context(grace=5.0))
    await house.pass_time(3)
    first.close()
    await house.pass_time(3)
    second = await service.attach(first.info.stream_id, CALLER, Position(first.info.epoch, 0))
    await house.pass_time(20)
    events = await read_all(second)
    assert isinstance(events[-1], Complete)
    assert len(events) == len(text_pieces(TEXT)) + 1
    second.close()


async def test_who_only_looks_is_no_reader_and_ends_nothing_s7() -> None:
    house = House(scripts=STALLS)
    service = house.build()
    begun = await service.open(ask("p/stalls"), context(grace=0.0))
    begun.release()  # nobody has come yet
    early = await service.attach(begun.info.stream_id, CALLER, reads=False)
    assert early.target is None
    early.close()
    await house.pass_time(1)
    for _ in range(3):
        look = await service.attach(begun.info.stream_id, CALLER, reads=False)
        assert (look.target, look.info) == ("p/stalls", begun.info)
        look.close()
    assert len(house.generations) == 1
    reader = await service.attach(begun.info.stream_id, CALLER)
    (await service.attach(begun.info.stream_id, CALLER, reads=False)).close()
    assert len(house.generations) == 1
    reader.close()
    await house.pass_time(1)
    assert len(house.generations) == 0


async def test_grace_passes_and_the_work_ends_s7() -> None:
    house = House(scripts=STALLS)
    service = house.build()
    attachment = await service.open(ask("p/stalls"), context(grace=5.0))
    await house.clock.advance(0)
    attachment.close()
    await house.pass_time(4)
    assert house.demo.open == 1
    await house.pass_time(2)
    assert (house.demo.open, len(house.generations)) == (0, 0)
    reader = await house.the_log.follow(attachment.info.stream_id)
    assert reader is not None
    batch = await reader.read()
    assert batch is not None
    assert batch.events[-1] == Cancelled("orphaned")


async def test_over_the_limit_nothing_begins() -> None:
    house = House(tokens_per_minute=100)
    service = house.build()
    await service.open(ask(max_tokens=90), context(lookup=False, store=False))
    with pytest.raises(RateLimitExceededError):
        await service.open(ask(max_tokens=90), context("t2", lookup=False))
    assert len(house.generations) == 1
    assert house.recorder.records[-1].outcome is Outcome.REJECTED_RATE
    assert house.recorder.records[-1].code == "rate_limit_exceeded"
    await house.generations.aclose()


async def test_a_waiting_request_starts_when_a_slot_comes_free_q2() -> None:
    house = House(scripts=STALLS, slots_in_all=1)
    service = house.build()
    holder = await service.open(ask("p/stalls"), context("t1"))
    waits = await service.open(ask("p/ok"), context("t2"))
    behind = await service.open(ask("p/ok", "other"), context("t3", grace=100.0))
    await house.pass_time(1)
    holder.close()
    await house.clock.advance(0)
    served = await read_all(waits)
    assert served[:2] == [Status(StatusState.QUEUED, 0), Status(StatusState.STARTED)]
    assert isinstance(served[-1], Complete)
    assert isinstance((await read_all(behind))[-1], Complete)

    holder = await service.open(ask("p/stalls", "again"), context("t4", grace=1000.0))
    late = await service.open(ask("p/ok", "late"), context("t5", grace=1000.0))
    await house.pass_time(61)
    events = await asyncio.wait_for(read_all(late), 5)
    # The holder was silent for 30 s, and so freed its slot in time.
    assert isinstance(events[-1], Complete)
    ends = {record.thread_id: (record.outcome, record.total_seconds) for record in house.recorder.records}
    assert ends["t4"] == (Outcome.FAILED, 30.0)
    assert ends["t5"] == (Outcome.SERVED, 30.0)
    for attachment in (waits, behind, holder, late):
        attachment.close()
    await house.generations.aclose()
    assert len(house.slots) == 0


async def test_a_wait_ends_at_its_deadline_q2() -> None:
    house = House(scripts={"slow": Script(text_pieces(TEXT) * 20, delay=9.0)}, slots_in_all=1)
    service = house.build()
    holder = await service.open(ask("p/slow"), context("t1"))
    late = await service.open(ask("p/ok"), context("t2"))
    await house.pass_time(61)
    events = await asyncio.wait_for(read_all(late), 5)
    assert isinstance(events[-1], Failed)
    assert (events[-1].code, events[-1].retry_after) == ("queue_timeout", 5.0)
    assert house.demo.calls == 1
    assert house.recorder.records[-1].outcome is Outcome.EXPIRED
    late.close()
    holder.close()
    await house.generations.aclose()


async def test_a_full_queue_gives_back_what_was_charged_q1_l2_l4() -> None:
    house = House(scripts=STALLS, slots_in_all=1, tokens_per_minute=10_000)
    service = house.build()
    await service.open(ask("p/stalls", max_tokens=1), context("t0"))
    for number in range(10):
        await service.open(ask("p/ok", str(number), max_tokens=1), context(f"t{number}"))
    before = await house.limiter.admit(CALLER, Cost(0, 0))
    for _ in range(3):
        with pytest.raises(QueueFullError):
            await service.open(ask("p/ok", "more", max_tokens=9_000), context("full"))
    assert await house.limiter.admit(CALLER, Cost(0, 0)) == before  # the request too: it may be tried again (L2)
    assert house.recorder.records[-1].outcome is Outcome.REJECTED_FULL
    await house.generations.aclose()
    assert (len(house.slots), len(house.generations)) == (0, 0)


async def test_tenants_never_share_a_stream_even_if_they_share_the_cache_s6() -> None:
    house = House(scripts={"paced": Script(text_pieces(TEXT), delay=1.0)})
    house.policy = type(house.policy)(shared_across_tenants=True)
    service = house.build()
    mine = await service.open(ask("p/paced"), context("t1"))
    theirs = await service.open(ask("p/paced"), CallContext("t2", Caller("other")))
    assert theirs.cache is CacheStatus.MISS
    await house.pass_time(10)
    for attachment in (mine, theirs):
        await read_all(attachment)
        attachment.close()
    third = await service.open(ask("p/paced"), CallContext("t3", Caller("third")))
    assert third.cache is CacheStatus.HIT_L1
    third.close()


async def test_a_limiter_that_is_switched_off_admits_everything() -> None:
    limiter = UnlimitedLimiter()
    assert (await limiter.admit(CALLER, Cost(10**9, 10**9))).admitted
    await limiter.settle(CALLER, 1, 0)
    await limiter.refund(CALLER, Cost(1, 1))


def test_words_that_count() -> None:
    assert Usage(3, 4).total_tokens == 7
    assert Position.parse("0a1b-7") == Position("0a1b", 7)
    assert str(Position("0a1b", 7)) == "0a1b-7"
    for wrong in ("", "-", "a", "a-", "-1", "a-01", "A-1", "a-1-", "a--1", "é-1", "a" * 33 + "-1", "a-" + "1" * 13):
        assert Position.parse(wrong) is None
