"""The line cannot be reached, or whoever joins it is cancelled: nothing is kept of them, and no other pays (Q9, L6)."""

import asyncio
from collections.abc import Mapping

import pytest

from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.slots import MemorySlots
from domain.errors import QueueError, QueueFullError
from domain.jobs import QueueMessage
from domain.model import Caller, Status, StatusState, Tier
from domain.services import admission
from domain.services.admission import Admission, Ticket
from tests.jobs import job

TIER = Tier(60, 6000, 10)


class Shared(MemoryMessageQueue):
    """A line that is in Redis: while that is away, who wants to join waits here alone."""

    away = True
    slow: "asyncio.Event | None" = None

    async def put(self, message: QueueMessage) -> int | None:
        await self.remove(message.stream_id)
        ahead = await super().put(message)
        if self.slow is not None:
            await self.slow.wait()
        if self.away:
            raise QueueError("away")
        return ahead

    async def positions(self) -> Mapping[str, int]:
        return {} if self.away else await super().positions()


class House:
    """An admission of one slot, which runs."""

    def __init__(self, depth: int = 10) -> None:
        self.clock, self.slots, self.queue = ManualClock(), MemorySlots(1, lambda _: 10), Shared(depth, depth)
        limiter = MemoryLimiter(self.clock, {"default": TIER})
        self.admission = Admission(self.clock, limiter, self.slots, self.queue, lambda _: TIER, wait=60.0)
        self.running = asyncio.create_task(self.admission.run())

    def enter(self, name: str, tenant: str = "a") -> "asyncio.Task[Ticket]":
        return asyncio.create_task(self.admission.enter(job(tenant, name, thread_id="thread")))

    async def at_rest(self, *tickets: Ticket) -> None:
        for ticket in tickets:
            await self.admission.leave(ticket)
        self.running.cancel()
        self.queue.away = False
        assert (len(self.slots), len(self.admission._waiting), await self.queue.positions()) == (0, 0, {})


async def test_without_a_line_one_waits_for_two_seconds_and_is_refused_with_the_true_reason_q9() -> None:
    house = House()
    holder = await house.enter("s1")
    refused = house.enter("s2")
    await house.clock.advance(1.9)
    assert not refused.done()
    await house.clock.advance(0.2)
    with pytest.raises(QueueFullError, match="cannot be reached") as caught:
        await refused
    assert (caught.value.retry_after, caught.value.thread_id) == (1, "thread")
    await house.at_rest(holder)


async def test_a_slot_that_comes_free_meanwhile_is_the_first_one_s_q9() -> None:
    house = House()
    holder = await house.enter("s1")
    first = house.enter("s2")
    await house.clock.advance(0.1)
    second = house.enter("s3")
    await house.clock.advance(1.0)
    await house.admission.leave(holder)
    await house.clock.advance(0.3)
    assert (first.done(), second.done()) == (True, False)
    ticket = await first
    assert (ticket.granted.done(), house.admission.status(ticket).position) == (True, 0)
    await house.clock.advance(1.0)
    with pytest.raises(QueueFullError):
        await second
    await house.at_rest(ticket)


@pytest.mark.parametrize("after", [0.5, 1.9])
async def test_when_the_line_is_back_they_join_it_once_q9(after: float) -> None:
    """With all who wait here, or by themselves as the last thing that they try."""
    house = House()
    holder = await house.enter("s1")
    await house.clock.advance(0.5)
    joining = house.enter("s2")
    await house.clock.advance(after)
    house.queue.away = False
    await house.clock.advance(2.1 - after)
    ticket = await joining
    assert (ticket.ahead, ticket.granted.done()) == (0, False)
    assert await house.queue.positions() == {"s2": 0}
    await house.admission.leave(holder)
    assert ticket.granted.done()
    await house.at_rest(ticket)


async def test_the_line_is_back_and_full_q1() -> None:
    house = House(depth=1)
    holder = await house.enter("s1")
    joining = house.enter("s2")
    await house.clock.advance(1.5)
    house.queue.away = False
    await house.queue.remove("s2")
    other = await house.enter("s3")
    await house.clock.advance(0.6)
    with pytest.raises(QueueFullError, match="The queue is full"):
        await joining
    await house.at_rest(other, holder)


async def test_so_many_may_wait_here_and_more_are_refused_at_once_q9(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_APART", 1)
    house = House()
    holder = await house.enter("s1")
    first = house.enter("s2")
    await house.clock.advance(0)
    with pytest.raises(QueueFullError):
        await house.enter("s3")
    await house.clock.advance(2.1)
    with pytest.raises(QueueFullError):
        await first
    await house.at_rest(holder)


async def test_a_slot_that_came_in_the_last_moment_is_kept_q9() -> None:
    """While it asks for the line once more, one of this process's own comes free."""
    house = House()
    holder = await house.enter("s1")
    joining = house.enter("s2")
    await house.clock.advance(1.9)
    house.queue.slow = asyncio.Event()
    await house.clock.advance(0.2)
    await house.admission.leave(holder)
    house.queue.slow.set()
    ticket = await joining
    assert ticket.granted.done()
    await house.at_rest(ticket)


async def test_who_is_cancelled_on_the_way_into_the_line_is_not_in_it_l6() -> None:
    house = House()
    house.queue.away, house.queue.slow = False, asyncio.Event()
    holder = await house.enter("s1")
    joining = house.enter("s2")
    await house.clock.advance(0)
    joining.cancel()
    await house.clock.advance(0)
    assert joining.cancelled()
    await house.admission.leave(holder)
    await house.at_rest()


class Slow(MemorySlots):
    """Slots that take their time."""

    asked: "asyncio.Event | None" = None

    async def acquire(self, caller: Caller, holder: str) -> bool:
        if self.asked is not None:
            await self.asked.wait()
        return await super().acquire(caller, holder)


async def test_who_is_cancelled_while_another_is_let_in_takes_nothing_with_it_q3() -> None:
    house = House()
    house.queue.away = False
    house.admission._slots = slots = Slow(1, lambda _: 10)
    holder = await house.enter("s1")
    waiting = await house.enter("s2")
    slots.asked = asyncio.Event()
    leaving = asyncio.create_task(house.admission.leave(holder))
    await house.clock.advance(0)
    leaving.cancel()
    await house.clock.advance(0)
    slots.asked.set()
    await house.clock.advance(0)
    assert waiting.granted.done()
    await house.at_rest(waiting)
    assert len(slots) == 0


async def test_a_place_never_grows_though_who_was_taken_comes_back_q5() -> None:
    house = House()
    house.queue.away = False
    holder = await house.enter("s1")
    tickets = [await house.enter(f"s{number}") for number in range(2, 5)]
    told: list[Status] = []
    tickets[2].moved = told.append
    taken = await house.queue.take(())
    assert taken is not None
    await house.admission.tell()
    await house.queue.restore(taken)
    await house.admission.tell()
    await house.admission.leave(tickets[0])
    await house.admission.tell()
    await house.admission.leave(tickets[1])
    await house.admission.tell()
    assert told == [Status(StatusState.QUEUED, 1), Status(StatusState.QUEUED, 0)]
    await house.at_rest(tickets[2], holder)


async def test_what_others_serve_counts_for_the_estimate_q5() -> None:
    """A replica beside workers starts nothing itself."""
    house = House()
    house.queue.away = False
    holder = await house.enter("s0")
    tickets = [await house.enter(f"s{number}") for number in range(1, 8)]
    for ticket in tickets[:4]:
        await house.clock.advance(2.0)
        await house.queue.remove(ticket.holder)
        house.admission.forget(ticket)
    await house.admission.tell()
    assert house.admission.status(tickets[-1]).estimated_wait == pytest.approx(3 * 8.0 / 5, abs=0.1)
    await house.at_rest(*tickets[4:], holder)
