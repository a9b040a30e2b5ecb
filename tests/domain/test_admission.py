"""Limits, slots and the line: what is taken is given back, and who is next is let in (L6, Q1, Q6)."""

import pytest

from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.slots import MemorySlots
from domain.errors import QueueFullError, RateLimitExceededError, RequestTooCostlyError
from domain.model import Caller, CompletionRequest, Cost, Message, Tier
from domain.services.admission import DEFAULT_ANSWER_TOKENS, Admission, estimate_tokens

A, B = Caller("a"), Caller("b")


Parts = tuple[Admission, MemorySlots, MemoryMessageQueue]


def admission(total: int = 1, per_caller: int = 10, depth: int = 10) -> Parts:
    clock = ManualClock()
    slots = MemorySlots(total, lambda _: per_caller)
    queue = MemoryMessageQueue(depth, depth)
    limiter = MemoryLimiter(clock, {"default": Tier(60, 6000, per_caller)})
    return Admission(clock, limiter, slots, queue, max_wait=60.0), slots, queue


async def test_a_free_slot_is_granted_at_once_and_comes_back_l6() -> None:
    service, slots, _ = admission()
    ticket = await service.enter(A, "s1", "t")
    assert ticket.granted.done()
    assert len(slots) == 1
    await service.leave(ticket)
    assert len(slots) == 0


async def test_who_waits_is_let_in_first_come_first_served() -> None:
    service, slots, queue = admission()
    first = await service.enter(A, "s1", "t")
    waiting = [await service.enter(A, f"s{number}", "t") for number in range(2, 5)]
    assert [ticket.ahead for ticket in waiting] == [0, 1, 2]
    for ticket in waiting:
        assert not ticket.granted.done()
        await service.leave(first)
        assert ticket.granted.done()
        first = ticket
    await service.leave(first)
    assert (len(slots), await queue.depth()) == (0, 0)


async def test_a_caller_at_its_own_bound_does_not_hold_up_another() -> None:
    service, slots, _ = admission(total=10, per_caller=1)
    mine = await service.enter(A, "s1", "t")
    behind = await service.enter(A, "s2", "t")
    other = await service.enter(B, "s3", "t")
    assert (behind.granted.done(), other.granted.done()) == (False, True)
    await service.leave(other)
    await service.leave(mine)
    assert behind.granted.done()
    await service.leave(behind)
    assert len(slots) == 0


async def test_leaving_the_line_frees_the_place_and_is_never_served_q6() -> None:
    service, slots, queue = admission()
    holder = await service.enter(A, "s1", "t")
    gone = await service.enter(A, "s2", "t")
    stays = await service.enter(A, "s3", "t")
    await service.leave(gone)
    assert await queue.depth() == 1
    await service.leave(holder)
    assert gone.granted.cancelled()
    assert stays.granted.done()
    await service.leave(stays)
    assert len(slots) == 0


async def test_a_full_line_refuses_and_keeps_nothing_q1() -> None:
    service, _, queue = admission(depth=1)
    holder = await service.enter(A, "s1", "t")
    waiting = await service.enter(A, "s2", "t")
    with pytest.raises(QueueFullError) as caught:
        await service.enter(A, "s3", "thread")
    assert caught.value.thread_id == "thread"
    assert await queue.depth() == 1
    await service.leave(waiting)
    await service.leave(holder)


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
    assert estimate_tokens(asked([{"type": "text", "text": "x" * 400}])) > 100
    assert estimate_tokens(asked(None), answer_tokens=5) == 5
