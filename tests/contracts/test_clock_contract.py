"""The contract of the clock port."""

import asyncio

from tests.contracts.cases import OpenClock

# A loop may wake a sleeper by its clock's resolution too early.
RESOLUTION = 1e-6
STEP = 0.005


async def test_monotonic_never_goes_back_and_moves_with_time(open_clock: OpenClock) -> None:
    async with open_clock() as (clock, advance):
        before = clock.monotonic()
        assert clock.monotonic() >= before
        await advance(STEP)
        assert clock.monotonic() >= before + STEP - RESOLUTION


async def test_time_is_unix_time_and_moves_with_time(open_clock: OpenClock) -> None:
    async with open_clock() as (clock, advance):
        before = clock.time()
        assert before > 1_600_000_000
        await advance(STEP)
        assert clock.time() > before


async def test_sleep_returns_when_the_seconds_have_passed_and_not_before(open_clock: OpenClock) -> None:
    async with open_clock() as (clock, advance):
        before = clock.monotonic()
        sleeper = asyncio.create_task(clock.sleep(STEP))
        await asyncio.sleep(0)
        assert not sleeper.done()
        await advance(STEP)
        async with asyncio.timeout(5):
            await sleeper
        assert clock.monotonic() >= before + STEP - RESOLUTION


async def test_sleep_of_no_time_returns_and_lets_others_run(open_clock: OpenClock) -> None:
    async with open_clock() as (clock, _):
        other = asyncio.create_task(asyncio.sleep(0))
        async with asyncio.timeout(5):
            await clock.sleep(0)
            await clock.sleep(-1)
            await other


async def test_a_cancelled_sleep_ends_at_once_and_harms_no_other(open_clock: OpenClock) -> None:
    async with open_clock() as (clock, advance):
        first, second = asyncio.create_task(clock.sleep(STEP)), asyncio.create_task(clock.sleep(STEP))
        await asyncio.sleep(0)
        first.cancel()
        await advance(STEP)
        async with asyncio.timeout(5):
            await asyncio.wait([first, second])
        assert first.cancelled()
        assert second.exception() is None
