"""The sweeper tells how late its sweeps came: how long the event loop was held up."""

import asyncio
from collections.abc import Iterator

import pytest

from adapters.memory.manual_clock import ManualClock
from domain.services.sweeper import Sweeper
from ports.clock import Clock


class LateClock(Clock):
    """Each sleep ends as late as the next of `delays` says; after the last it does not end."""

    def __init__(self, delays: Iterator[float]) -> None:
        self._now = 0.0
        self._delays = delays

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        delay = next(self._delays, None)
        if delay is None:
            raise asyncio.CancelledError
        self._now += seconds + delay


async def test_the_lag_is_the_longest_since_it_was_last_asked_for() -> None:
    sweeper = Sweeper(LateClock(iter([0.5, 2.0, 0.25])), tick=0.5)
    with pytest.raises(asyncio.CancelledError):
        await sweeper.run()
    assert sweeper.take_lag() == 2.0
    assert sweeper.take_lag() == 0.0


async def test_a_sweep_that_is_early_is_not_late() -> None:
    sweeper = Sweeper(LateClock(iter([-0.25])), tick=0.5)
    with pytest.raises(asyncio.CancelledError):
        await sweeper.run()
    assert sweeper.take_lag() == 0.0


async def test_an_idle_loop_has_no_lag() -> None:
    clock = ManualClock()
    sweeper = Sweeper(clock)
    running = asyncio.create_task(sweeper.run())
    await clock.advance(1.0)
    assert sweeper.take_lag() == pytest.approx(0.0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
