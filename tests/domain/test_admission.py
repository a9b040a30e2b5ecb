"""Limits, slots and the line: what is taken is given back, and who is next is let in (L6, Q1, Q6)."""

import asyncio

import pytest

from adapters.memory.defects import MemoryDefects
from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.slots import MemorySlots
from domain.errors import QueueFullError, RateLimitExceededError, RequestTooCostlyError, StreamNotResumableError
from domain.model import Caller, CompletionRequest, Cost, Message, Status, StatusState, Tier
from domain.services.admission import Admission, queue_cost
from domain.services.estimate import DEFAULT_ANSWER_TOKENS, PART_TOKENS, estimate_tokens
from ports.defects import Where
from tests.jobs import job, message

A, B = Caller("a"), Caller("b")


Parts = tuple[Admission, MemorySlots, MemoryMessageQueue]


def admission(total: int = 1, per_caller: int = 10, depth: int = 10) -> Parts:
    clock = ManualClock()
    slots = MemorySlots(total, lambda _: per_caller)
    queue = MemoryMessageQueue(depth, depth)
    limiter = MemoryLimiter(clock, {"default": Tier(60, 6000, per_caller)})
    return Admission(clock, limiter, slots, queue, lambda _: Tier(60, 6000, 10), wait=60.0), slots, queue


async def test_a_free_slot_is_granted_at_once_and_comes_back_l6() -> None:
    service, slots, _ = admission()
    ticket = await service.enter(job(A.tenant, "s1"))
    assert ticket.granted.done()
    assert len(slots) == 1
    await service.leave(ticket)
    assert len(slots) == 0


async def test_who_waits_is_let_in_first_come_first_served() -> None:
    service, slots, queue = admission()
    first = await service.enter(job(A.tenant, "s1"))
    waiting = [await service.enter(job(A.tenant, f"s{number}")) for number in range(2, 5)]
    assert [ticket.ahead for ticket in waiting] == [0, 1, 2]
    for ticket in waiting:
        assert not ticket.granted.done()
        await service.leave(first)
        assert ticket.granted.done()
        first = ticket
    await service.leave(first)
    assert (len(slots), len(await queue.positions())) == (0, 0)


async def test_a_caller_at_its_own_bound_does_not_hold_up_another() -> None:
    service, slots, _ = admission(total=10, per_caller=1)
    mine = await service.enter(job(A.tenant, "s1"))
    behind = await service.enter(job(A.tenant, "s2"))
    other = await service.enter(job(B.tenant, "s3"))
    assert (behind.granted.done(), other.granted.done()) == (False, True)
    await service.leave(other)
    await service.leave(mine)
    assert behind.granted.done()
    await service.leave(behind)
    assert len(slots) == 0


async def test_leaving_the_line_frees_the_place_and_is_never_served_q6() -> None:
    service, slots, queue = admission()
    holder = await service.enter(job(A.tenant, "s1"))
    gone = await service.enter(job(A.tenant, "s2"))
    stays = await service.enter(job(A.tenant, "s3"))
    await service.leave(gone)
    assert len(await queue.positions()) == 1
    await service.leave(holder)
    assert gone.granted.cancelled()
    assert stays.granted.done()
    await service.leave(stays)
    assert len(slots) == 0


async def test_a_full_line_refuses_and_keeps_nothing_q1() -> None:
    service, _, queue = admission(depth=1)
    holder = await service.enter(job(A.tenant, "s1"))
    waiting = await service.enter(job(A.tenant, "s2"))
    with pytest.raises(QueueFullError) as caught:
        await service.enter(job(A.tenant, "s3", thread_id="thread"))
    assert caught.value.thread_id == "thread"
    assert len(await queue.positions()) == 1
    await service.leave(waiting)
    await service.leave(holder)


async def test_a_full_line_of_callers_at_their_own_bounds_keeps_no_other_from_a_free_slot_q1() -> None:
    """Q4: what one caller has waiting takes nothing from another."""
    service, slots, queue = admission(total=3, per_caller=1, depth=1)
    holder = await service.enter(job(A.tenant, "s1"))
    waiting = await service.enter(job(A.tenant, "s2"))
    other = await service.enter(job(B.tenant, "s3"))
    assert (waiting.granted.done(), other.granted.done(), other.message) == (False, True, None)
    for tenant in (A.tenant, B.tenant):  # their own bounds hold as before
        with pytest.raises(QueueFullError):
            await service.enter(job(tenant, "s4"))
    assert (len(slots), await queue.positions()) == (2, {"s2": 0})
    await service.leave(holder)
    assert waiting.granted.done()
    for ticket in (waiting, other):
        await service.leave(ticket)
    assert len(slots) == 0


async def test_a_full_line_is_not_passed_by_as_a_slot_comes_free_q4() -> None:
    """It is of who waits for it, also in the moment before that one is let in."""
    service, _, _ = admission(total=1, depth=1)
    holder = await service.enter(job(A.tenant, "s1"))
    waiting = await service.enter(job(A.tenant, "s2"))
    leaving = asyncio.create_task(service.leave(holder))
    entering = asyncio.create_task(service.enter(job(B.tenant, "s3")))
    await leaving
    assert waiting.granted.done()
    with pytest.raises(QueueFullError):
        await entering
    await service.leave(waiting)


async def test_refusals_of_the_limiter_are_errors_that_say_when() -> None:
    service, _, _ = admission()
    verdict = await service.reserve(A, Cost(60), "t")
    assert verdict.requests is not None
    assert verdict.requests.remaining == 0
    with pytest.raises(RateLimitExceededError) as caught:
        await service.reserve(A, Cost(1), "t")
    assert caught.value.retry_after == 1
    with pytest.raises(RequestTooCostlyError) as costly:
        await service.reserve(B, Cost(1, 6001), "t")
    assert costly.value.retry_after is None


async def test_settling_gives_back_what_was_not_used_l4() -> None:
    service, _, _ = admission()
    await service.reserve(A, Cost(1, 6000), "t")
    with pytest.raises(RateLimitExceededError):
        await service.reserve(A, Cost(1, 100), "t")
    await service.settle(A, 6000, 10)
    await service.reserve(A, Cost(1, 5990), "t")


def test_estimates_follow_the_text_and_the_longest_answer() -> None:
    def asked(content: object, **options: int) -> CompletionRequest:
        return CompletionRequest("m", [Message("user", content)], options)  # type: ignore[arg-type]

    assert estimate_tokens(asked("x" * 400)) == 100 + DEFAULT_ANSWER_TOKENS
    assert estimate_tokens(asked("x" * 400, max_tokens=7)) == 107
    assert estimate_tokens(asked("x" * 400, max_completion_tokens=9, max_tokens=7)) == 109
    parts = [{"type": "text", "text": "x" * 400}, {"type": "image_url", "image_url": {"url": "x" * 10**6}}, "?"]
    assert estimate_tokens(asked(parts), answer_tokens=0) == 100 + 2 * PART_TOKENS
    assert estimate_tokens(asked(None), answer_tokens=5) == 5


class TakenElsewhere(MemorySlots):
    """Slots that look free from here, until they are asked for."""

    taken = False
    awaited = True
    asked: "asyncio.Event | None" = None

    async def acquire(self, caller: Caller, holder: str) -> bool:
        if self.asked is not None:
            self.asked.set()
            await asyncio.sleep(0)
        return not self.taken and await super().acquire(caller, holder)

    async def release(self, holder: str) -> bool:
        return await super().release(holder) or self.awaited


def fleet_admission() -> tuple[Admission, TakenElsewhere, MemoryMessageQueue, ManualClock]:
    clock = ManualClock()
    slots, queue = TakenElsewhere(1, lambda _: 10), MemoryMessageQueue(10, 10)
    limiter = MemoryLimiter(clock, {"default": Tier(60, 6000, 10)})
    return Admission(clock, limiter, slots, queue, lambda _: Tier(60, 6000, 10), wait=60.0), slots, queue, clock


async def test_where_nobody_waits_the_line_is_not_asked() -> None:
    service, slots, queue, _ = fleet_admission()
    slots.awaited = False
    ticket = await service.enter(job(A.tenant, "s1"))
    await queue.put(message("b", "elsewhere"))
    await service.leave(ticket)
    assert await queue.positions() == {"elsewhere": 0}


async def test_a_slot_that_another_process_took_is_waited_for_in_the_same_place_q4() -> None:
    service, slots, queue, clock = fleet_admission()
    slots.taken = True
    first, second = await service.enter(job(A.tenant, "s1")), await service.enter(job(A.tenant, "s2"))
    assert await queue.positions() == {"s1": 0, "s2": 1}
    running = asyncio.create_task(service.run())
    slots.taken = False
    await clock.advance(0.3)
    assert (first.granted.done(), second.granted.done()) == (True, False)
    running.cancel()
    await service.leave(second)
    await service.leave(first)
    assert (len(slots), len(await queue.positions())) == (0, 0)


async def test_who_leaves_while_a_slot_is_fetched_for_it_keeps_nothing_l6() -> None:
    service, slots, queue, _ = fleet_admission()
    holder = await service.enter(job(A.tenant, "s1"))
    waiting = await service.enter(job(A.tenant, "s2"))
    slots.asked = asyncio.Event()
    freeing = asyncio.create_task(service.leave(holder))
    await slots.asked.wait()
    await service.leave(waiting)
    await freeing
    assert (len(slots), len(await queue.positions())) == (0, 0)


async def test_who_waits_is_told_when_its_place_changes_and_only_then_q5() -> None:
    service, _, _ = admission()
    holder = await service.enter(job(A.tenant, "s0"))
    tickets = [await service.enter(job(A.tenant, f"s{number}")) for number in range(1, 4)]
    told: list[Status] = []
    tickets[2].moved = told.append
    await service.tell()
    assert told == []
    await service.leave(tickets[0])
    await service.tell()
    await service.tell()
    assert told == [Status(StatusState.QUEUED, 1)]
    for ticket in [holder, *tickets[1:]]:
        await service.leave(ticket)


async def test_the_run_tells_each_two_seconds_q5() -> None:
    service, _, _, clock = fleet_admission()
    holder = await service.enter(job(A.tenant, "s0"))
    tickets = [await service.enter(job(A.tenant, f"s{number}")) for number in range(1, 3)]
    told: list[Status] = []
    tickets[1].moved = told.append
    running = asyncio.create_task(service.run())
    await clock.advance(0.1)
    await service.leave(tickets[0])
    await clock.advance(1.0)
    assert told == []
    await clock.advance(1.0)
    assert [status.position for status in told] == [0]
    running.cancel()
    await service.leave(tickets[1])
    await service.leave(holder)


async def test_one_who_cannot_be_told_keeps_nobody_from_being_told_or_let_in_q5() -> None:
    service, _, _, clock = fleet_admission()
    holder = await service.enter(job(A.tenant, "s0"))
    tickets = [await service.enter(job(A.tenant, f"s{number}")) for number in range(1, 4)]
    told: list[Status] = []

    def ended(status: Status) -> None:
        raise StreamNotResumableError("The stream is closed.")

    tickets[1].moved, tickets[2].moved = ended, told.append
    running = asyncio.create_task(service.run())
    await service.leave(tickets[0])
    await clock.advance(2.1)
    assert [status.position for status in told] == [1]
    assert not running.done()
    for ticket in (*tickets[1:], holder):
        await service.leave(ticket)
    running.cancel()


class Defective(MemoryMessageQueue):
    """A queue whose first look after dead processes goes wrong."""

    defects = 1

    async def reclaim(self) -> None:
        if self.defects:
            self.defects -= 1
            raise ZeroDivisionError


async def test_a_defect_is_reported_and_costs_one_look_q3() -> None:
    _, slots, _, clock = fleet_admission()
    defects, tier = MemoryDefects(), Tier(1, 1, 1)
    limiter, line = MemoryLimiter(clock, {}), Defective(10, 10)
    service = Admission(clock, limiter, slots, line, lambda _: tier, wait=60.0, defects=defects)
    slots.taken = True
    waiting = await service.enter(job(A.tenant, "s1"))
    running = asyncio.create_task(service.run())
    await clock.advance(1.1)
    slots.taken = False
    await clock.advance(0.3)
    assert waiting.granted.done()
    assert [(where, type(error)) for where, error in defects.reported] == [(Where.ADMISSION, ZeroDivisionError)]
    running.cancel()
    await service.leave(waiting)


async def test_an_estimate_follows_how_fast_others_started_q5() -> None:
    service, _, _, clock = fleet_admission()
    for number in range(4):
        await service.leave(await service.enter(job(A.tenant, f"s{number}")))
        await clock.advance(2.0)
    holder = await service.enter(job(A.tenant, "s5"))
    mine, other = await service.enter(job(A.tenant, "s6")), await service.enter(job(B.tenant, "s7"))
    assert service.status(mine).estimated_wait == pytest.approx(2 * 8.0 / 5, abs=0.1)
    assert service.status(holder).estimated_wait is None
    for ticket in (mine, other, holder):
        await service.leave(ticket)


def test_the_cost_of_a_request_is_a_small_number_q4() -> None:
    costs = [queue_cost(tokens) for tokens in (0, 4_095, 4_096, 16_383, 16_384, 65_536, 10**9)]
    assert costs == [1, 1, 2, 2, 3, 4, 4]


async def test_a_message_whose_ticket_has_gone_is_passed_over_q6() -> None:
    service, slots, queue, clock = fleet_admission()
    running = asyncio.create_task(service.run())
    await clock.advance(1.0)  # nobody waits
    holder = await service.enter(job(A.tenant, "s1"))
    await queue.put(message("a", "gone"))
    waiting = await service.enter(job(A.tenant, "s2"))
    await service.leave(holder)
    assert waiting.granted.done()
    assert await queue.positions() == {}
    await service.leave(waiting)
    running.cancel()
    assert len(slots) == 0


async def test_who_is_poked_looks_at_once_q4() -> None:
    service, slots, _, clock = fleet_admission()
    slots.taken = True
    waiting = await service.enter(job(A.tenant, "s1"))
    slots.taken = False
    service.poke()
    await clock.advance(0)
    assert waiting.granted.done()
    await service.leave(waiting)


async def test_an_estimate_needs_a_second_of_starts_q5() -> None:
    service, _, _, clock = fleet_admission()
    for number in range(4):
        await service.leave(await service.enter(job(A.tenant, f"s{number}")))
    holder, waiting = await service.enter(job(A.tenant, "s5")), await service.enter(job(A.tenant, "s6"))
    assert service.status(waiting).estimated_wait is None
    await clock.advance(2.0)
    assert service.status(waiting).estimated_wait is not None
    for ticket in (waiting, holder):
        await service.leave(ticket)
