"""The walls of what runs for all: sweeper, admission, key refresh. One with a defect hurts no other (G1, G8)."""

import asyncio

import pytest

from adapters.memory.defects import MemoryDefects
from adapters.memory.keys import MemoryApiKeys
from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.slots import MemorySlots
from domain.jobs import QueueMessage
from domain.model import (
    Caller,
    Lease,
    Status,
    Tier,
)
from domain.part import PATIENCE
from domain.services.admission import LOOK_SECONDS, Admission
from domain.services.callers import Callers
from domain.services.key_refresh import REFRESH_SECONDS, KeyRefresh
from domain.services.sweeper import Sweeper
from ports.defects import Where
from ports.keys import ApiKey
from tests.domain.planted import Planted, cancelled, plant
from tests.jobs import job, message


async def test_a_ring_that_raises_keeps_no_other_from_ringing_g1() -> None:
    clock, defects, rung = ManualClock(), MemoryDefects(), list[str]()
    sweeper = Sweeper(clock, defects=defects)
    for ring in (plant, lambda: rung.append("a"), cancelled, lambda: rung.append("b")):
        sweeper.alarm(1.0, ring)
    sweeping = asyncio.create_task(sweeper.run())
    await clock.advance(1.2)
    assert sorted(rung) == ["a", "b"]
    assert defects.places == [Where.ALARM] * 2
    sweeper.alarm(1.0, lambda: rung.append("c"))
    await clock.advance(1.2)
    assert rung[-1] == "c"
    assert len(sweeper) == 0
    sweeping.cancel()


async def test_a_place_that_cannot_be_told_is_the_matter_of_its_own_stream_q5_g1() -> None:
    clock, defects = ManualClock(), MemoryDefects()
    slots, queue, told = MemorySlots(1, lambda _: 10), MemoryMessageQueue(10, 10), list[Status]()
    service = Admission(
        clock, MemoryLimiter(clock, {}), slots, queue, lambda _: Tier(1, 1, 1), wait=60, defects=defects
    )
    holder, first, second, third = [await service.enter(job("a", f"s{number}")) for number in range(4)]
    first.moved, second.moved, third.moved = told.append, plant, told.append
    await service.leave(holder)
    await service.tell()
    assert defects.places == [Where.ADMISSION]
    assert [ticket.moved is None for ticket in (first, second, third)] == [False, True, False]
    assert [status.position for status in told] == [1]
    for ticket in (first, second, third):
        await service.leave(ticket)


class NoLine(MemoryMessageQueue):
    """A line that nothing can be taken from."""

    async def take(self, passed_over: object) -> QueueMessage | None:
        raise Planted


async def test_who_comes_or_goes_does_not_pay_for_who_waits_q6_g1() -> None:
    clock, defects = ManualClock(), MemoryDefects()
    slots = MemorySlots(1, lambda _: 10)
    limiter, tier = MemoryLimiter(clock, {}), Tier(1, 1, 1)
    service = Admission(clock, limiter, slots, NoLine(10, 10), lambda _: tier, wait=60, defects=defects)
    holder = await service.enter(job("a", "s1"))
    waiting = await service.enter(job("a", "s2"))
    await service.leave(holder)
    assert set(defects.places) == {Where.ADMISSION}
    service.poke()
    await clock.advance(0)
    await service.leave(waiting)
    assert len(slots) == 0


async def test_an_admission_that_can_let_in_nobody_ends_g8() -> None:
    clock, defects = ManualClock(), MemoryDefects()
    limiter, slots, tier = MemoryLimiter(clock, {}), MemorySlots(1, lambda _: 10), Tier(1, 1, 1)
    service = Admission(clock, limiter, slots, NoLine(10, 10), lambda _: tier, wait=60, defects=defects)
    await slots.acquire(Caller("b"), "s0")
    waiting = await service.enter(job("a", "s1"))
    await slots.release("s0")
    before = len(defects.reported)
    running = asyncio.create_task(service.run())
    await clock.advance(2 * PATIENCE * LOOK_SECONDS)
    assert defects.places[before:] == [Where.ADMISSION] * (PATIENCE - 1)
    assert not waiting.granted.done()
    with pytest.raises(Planted):
        await running


async def test_what_cannot_be_gone_on_with_keeps_no_slot_q8_g1() -> None:
    """It comes back into the line when its lease is over."""
    clock, defects = ManualClock(), MemoryDefects()
    slots, queue = MemorySlots(1, lambda _: 10), Handed(10, 10)
    service = Admission(
        clock, MemoryLimiter(clock, {}), slots, queue, lambda _: Tier(1, 1, 1), wait=60, defects=defects
    )
    service.adopt = plant
    service.poke()
    await clock.advance(0)
    assert defects.places == [Where.ADMISSION]
    assert len(slots) == 0


class Handed(MemoryMessageQueue):
    """One message of another process."""

    given = False

    async def take(self, passed_over: object) -> QueueMessage | None:
        if self.given:
            return None
        self.given = True
        one = message("a", "s1")
        return QueueMessage(one.job, one.wait, one.cost, one.weight, one.limit, 1, Lease("s1", 2))


class Unreadable(MemoryApiKeys):
    """Has a defect from its second reading on."""

    readings = 0

    async def list(self) -> tuple[ApiKey, ...]:
        self.readings += 1
        if self.readings > 1:
            raise Planted
        return (ApiKey("k", "a" * 64, "t", "nope", 1),)


async def test_a_warning_that_cannot_be_given_revokes_nothing_and_keys_that_cannot_be_read_end_the_refresh_g8() -> None:
    clock, defects, callers = ManualClock(), MemoryDefects(), Callers([], ["default"])
    refresh = KeyRefresh(clock, Unreadable(), callers, plant, defects)
    await refresh.refresh()
    assert defects.places == [Where.KEY_REFRESH]
    assert not callers.open
    running = asyncio.create_task(refresh.run())
    await clock.advance(2 * PATIENCE * REFRESH_SECONDS)
    assert defects.places == [Where.KEY_REFRESH] * PATIENCE
    with pytest.raises(Planted):
        await running
