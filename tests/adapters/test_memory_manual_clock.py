"""The clock of the tests: it moves when it is told to, and wakes whoever is due."""

import asyncio

import pytest

from adapters.memory.manual_clock import ManualClock


async def test_time_stands_still_and_moves_exactly() -> None:
    clock = ManualClock(start=5.0, unix=100.0)
    assert (clock.monotonic(), clock.time()) == (5.0, 100.0)
    for _ in range(10):
        await clock.advance(0.1)
    assert (clock.monotonic(), clock.time()) == (6.0, 101.0)


async def test_sleepers_wake_in_the_order_in_which_they_are_due_each_at_its_moment() -> None:
    clock, woken = ManualClock(start=0.0), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("c", 3.0), ("a", 1.0), ("late", 9.0), ("b", 1.0)):
            group.create_task(sleeper(name, seconds))
        await clock.advance(3.5)
        assert woken == [("a", 1.0), ("b", 1.0), ("c", 3.0)]
        assert clock.monotonic() == 3.5
        await clock.advance(5.5)
    assert woken[-1] == ("late", 9.0)


async def test_who_sleeps_again_is_woken_again_within_one_advance() -> None:
    clock, ticks = ManualClock(start=0.0), list[float]()

    async def ticker() -> None:
        while True:
            await clock.sleep(0.5)
            ticks.append(clock.monotonic())

    task = asyncio.create_task(ticker())
    await clock.advance(2.0)
    assert ticks == [0.5, 1.0, 1.5, 2.0]
    task.cancel()
    await asyncio.wait([task])
    await clock.advance(1.0)
    assert len(ticks) == 4


async def test_what_a_sleeper_sets_going_has_run_before_time_goes_on() -> None:
    clock, seen = ManualClock(start=0.0), list[float]()
    done = asyncio.Event()

    async def first() -> None:
        await clock.sleep(1.0)
        done.set()

    async def second() -> None:
        await done.wait()
        seen.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(second())
        group.create_task(first())
        await clock.advance(10.0)
        assert seen == [1.0]


async def test_time_does_not_go_back() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="does not go back"):
        await clock.advance(-0.1)
