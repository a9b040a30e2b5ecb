"""Deadlines without timers: alarms ring once, timeouts are TimeoutErrors, others' cancellations stay theirs."""

import asyncio

import pytest

from adapters.memory.manual_clock import ManualClock
from domain.services.sweeper import NEVER, Sweeper


async def test_an_alarm_rings_once_when_its_time_has_passed() -> None:
    clock = ManualClock()
    sweeper = Sweeper(clock)
    rung: list[str] = []
    sweeper.alarm(1.0, lambda: rung.append("a"))
    moved = sweeper.alarm(1.0, lambda: rung.append("b"))
    cancelled = sweeper.alarm(1.0, lambda: rung.append("c"))
    moved.at = NEVER
    cancelled.cancel()
    cancelled.cancel()
    sweeper.sweep()
    assert rung == []
    await clock.advance(1.0)
    sweeper.sweep()
    sweeper.sweep()
    assert rung == ["a"]
    assert len(sweeper) == 1


async def test_one_task_sweeps_every_tick() -> None:
    clock = ManualClock()
    sweeper = Sweeper(clock, tick=0.1)
    rung: list[str] = []
    running = asyncio.create_task(sweeper.run())
    sweeper.alarm(0.25, lambda: rung.append("a"))
    await clock.advance(0.2)
    assert rung == []
    await clock.advance(0.1)
    assert rung == ["a"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_alarm_may_set_another_while_it_rings() -> None:
    clock = ManualClock()
    sweeper = Sweeper(clock)
    rung: list[int] = []

    def ring() -> None:
        rung.append(len(rung))
        sweeper.alarm(1.0, ring)

    sweeper.alarm(1.0, ring)
    for _ in range(3):
        await clock.advance(1.0)
        sweeper.sweep()
    assert rung == [0, 1, 2]
    assert len(sweeper) == 1


async def waits(sweeper: Sweeper, seconds: float) -> str:
    try:
        with sweeper.timeout(seconds):
            await asyncio.get_running_loop().create_future()
    except TimeoutError:
        return "timeout"
    return "done"


async def test_a_timeout_is_a_timeout_error_and_leaves_the_task_whole() -> None:
    clock = ManualClock()
    sweeper = Sweeper(clock)

    async def twice() -> list[str]:
        return [await waits(sweeper, 1.0), await waits(sweeper, 1.0)]

    task = asyncio.create_task(twice())
    for _ in range(2):
        await asyncio.sleep(0)
        await clock.advance(1.0)
        sweeper.sweep()
        await asyncio.sleep(0)
    assert await task == ["timeout", "timeout"]
    assert task.cancelling() == 0
    assert len(sweeper) == 0


async def test_a_moved_deadline_does_not_ring_early() -> None:
    clock = ManualClock()
    sweeper = Sweeper(clock)
    with sweeper.timeout(1.0) as timeout:
        timeout.alarm.at = clock.monotonic() + 5.0
        await clock.advance(2.0)
        sweeper.sweep()
        await asyncio.sleep(0)


async def test_somebody_elses_cancellation_stays_a_cancellation() -> None:
    sweeper = Sweeper(ManualClock())
    task = asyncio.create_task(waits(sweeper, 1.0))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(sweeper) == 0


async def test_cancelled_from_outside_and_late_at_once_is_a_cancellation() -> None:
    clock = ManualClock()
    sweeper = Sweeper(clock)
    task = asyncio.create_task(waits(sweeper, 1.0))
    await asyncio.sleep(0)
    await clock.advance(1.0)
    task.cancel()
    sweeper.sweep()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_inside_is_not_covered_up() -> None:
    sweeper = Sweeper(ManualClock())
    with pytest.raises(ValueError, match="mine"), sweeper.timeout(1.0):
        raise ValueError("mine")


async def test_a_timeout_needs_a_task() -> None:
    refused: list[str] = []

    def in_no_task() -> None:
        try:
            with Sweeper(ManualClock()).timeout(1.0):
                pass
        except RuntimeError as error:
            refused.append(str(error))

    asyncio.get_running_loop().call_soon(in_no_task)
    await asyncio.sleep(0)
    assert refused == ["a Timeout belongs to a task"]
