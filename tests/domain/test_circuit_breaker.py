"""Breakers: counted in a window, opened for all, probed by one, and always with an exit (B0, B3, B4)."""

import asyncio

import pytest

from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.memory.manual_clock import ManualClock
from domain.model import BreakerState
from domain.services.breaker_state import BreakerPolicy, Phase
from domain.services.circuit_breaker import BreakerReport, CircuitBreakers
from ports.clock import Clock

POLICY = BreakerPolicy(failure_threshold=3, window=10.0, recovery_timeout=5.0, max_recovery_timeout=15.0)
TARGET = "p/m"


def breakers(policy: BreakerPolicy = POLICY, chance: float = 0.0) -> tuple[CircuitBreakers, ManualClock]:
    clock = ManualClock()
    return CircuitBreakers(clock, MemoryBreakerBoard(clock), policy, lambda _: 30.0, lambda: chance), clock


async def fail(service: CircuitBreakers, times: int, target: str = TARGET, retry_after: float = 0.0) -> None:
    for _ in range(times):
        assert await service.admit(target, "h")
        await service.failed(target, "h", retry_after, "provider_timeout")


async def succeed(service: CircuitBreakers, times: int) -> None:
    for _ in range(times):
        assert await service.admit(TARGET, "h")
        await service.succeeded(TARGET, "h")


async def is_open(service: CircuitBreakers, target: str = TARGET) -> bool:
    admitted = await service.admit(target, "asks")
    await service.abandoned(target, "asks")
    return not admitted


async def test_failures_within_the_window_open_it_for_its_target_alone_b0() -> None:
    service, clock = breakers()
    await fail(service, 2)
    await clock.advance(11)
    await fail(service, 2)
    assert not await is_open(service)
    await fail(service, 1)
    assert await is_open(service)
    assert not await is_open(service, "p/other")
    assert service.opens_in([TARGET]) == 5.0
    assert service.opens_in([TARGET, "p/other"]) is None
    assert service.opens_in([]) is None


async def test_the_window_slides_b1() -> None:
    service, clock = breakers()
    for _ in range(8):
        await fail(service, 1)
        await clock.advance(5)
    assert not await is_open(service)
    await fail(service, 2)
    assert await is_open(service)


async def test_failures_among_more_successes_do_not_open_it_b1() -> None:
    service, _ = breakers()
    for _ in range(10):
        await succeed(service, 2)
        await fail(service, 1)
    await fail(service, 1)
    assert not await is_open(service)
    await fail(service, 1)  # three in a row: after a long good time too
    assert await is_open(service)


async def test_a_target_that_fails_every_other_time_is_opened_b1() -> None:
    service, _ = breakers()
    for _ in range(2):
        await fail(service, 1)
        await succeed(service, 1)
    assert not await is_open(service)
    await fail(service, 1)
    assert await is_open(service)


async def test_it_takes_the_least_number_of_calls_too_b1() -> None:
    service, _ = breakers(BreakerPolicy(failure_threshold=2, minimum_calls=6))
    await fail(service, 4)
    await succeed(service, 1)
    assert not await is_open(service)
    await fail(service, 1)
    assert await is_open(service)


async def test_one_probe_at_a_time_and_its_success_closes_b3() -> None:
    service, clock = breakers()
    await fail(service, 3)
    await clock.advance(5)
    assert await service.admit(TARGET, "a")
    assert not await service.admit(TARGET, "b")
    await service.succeeded(TARGET, "a")
    assert await service.admit(TARGET, "b")
    assert await service.admit(TARGET, "c")


async def test_a_probe_that_fails_doubles_the_cooldown_up_to_its_cap_b4() -> None:
    service, clock = breakers()
    await fail(service, 3)
    for cooldown in (10.0, 15.0, 15.0):
        await clock.advance(service.opens_in([TARGET]) or 0.0)
        assert await service.admit(TARGET, "a")
        await service.failed(TARGET, "a")
        assert service.opens_in([TARGET]) == cooldown
        assert not await service.admit(TARGET, "b")


async def test_the_doubling_starts_anew_after_it_was_closed_b4() -> None:
    service, clock = breakers()
    for _ in range(3):
        await fail(service, 3)
        assert service.opens_in([TARGET]) == 5.0
        await clock.advance(5)
        await succeed(service, 1)


async def test_chance_lengthens_a_cooldown_a_little_b4() -> None:
    service, _ = breakers(chance=1.0)
    await fail(service, 3)
    assert service.opens_in([TARGET]) == 5.5


async def test_a_first_cooldown_above_the_cap_is_the_cap_b4() -> None:
    service, clock = breakers(BreakerPolicy(failure_threshold=1, recovery_timeout=50.0, max_recovery_timeout=10.0))
    await fail(service, 1)
    await clock.advance(50.0)
    await fail(service, 1)
    assert service.opens_in([TARGET]) == 50.0


@pytest.mark.parametrize(("retry_after", "cooldown"), [(1.0, 5.0), (40.0, 40.0), (1e9, 86_400.0)])
async def test_the_providers_retry_after_is_the_least_cooldown_for_a_day_at_most_b4(
    retry_after: float, cooldown: float
) -> None:
    service, _ = breakers()
    await fail(service, 3, retry_after=retry_after)
    assert service.opens_in([TARGET]) == cooldown


async def test_a_lost_or_abandoned_prober_frees_the_probe_b3() -> None:
    service, clock = breakers()
    await fail(service, 3)
    await clock.advance(5)
    assert await service.admit(TARGET, "lost")
    await clock.advance(30)
    assert await service.admit(TARGET, "a")
    await service.abandoned(TARGET, "a")
    assert await service.admit(TARGET, "b")
    await service.abandoned("p/other", "b")


async def test_what_was_under_way_when_it_opened_says_nothing_b3() -> None:
    """Neither a late failure lengthens the cooldown, nor does a late success close it."""
    service, clock = breakers()
    for holder in ("late-1", "late-2", "later"):
        assert await service.admit(TARGET, holder)
    await fail(service, 3)
    await service.failed(TARGET, "late-1", 100.0)
    await service.succeeded(TARGET, "late-2")
    assert service.opens_in([TARGET]) == 5.0
    await clock.advance(5)
    await succeed(service, 1)
    await fail(service, 2)
    await service.failed(TARGET, "later")
    assert not await is_open(service)


@pytest.mark.parametrize("verdict", ["succeeded", "failed"])
async def test_the_result_of_an_older_probe_says_nothing_b3(verdict: str) -> None:
    service, clock = breakers()
    await fail(service, 3)
    await clock.advance(5)
    assert await service.admit(TARGET, "slow")
    await clock.advance(30)
    assert await service.admit(TARGET, "next")
    await service.failed(TARGET, "next")
    await getattr(service, verdict)(TARGET, "slow")
    assert service.opens_in([TARGET]) == 10.0


async def test_a_verdict_without_a_call_says_nothing() -> None:
    service, _ = breakers(BreakerPolicy(failure_threshold=1))
    await service.failed(TARGET, "h")
    await service.succeeded(TARGET, "h")
    await service.abandoned(TARGET, "h")
    assert not await is_open(service)


class SlowBoard(MemoryBreakerBoard):
    """A board whose probes are a matter of time, as on a network."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def acquire_probe(self, target: str, holder: str, seconds: float) -> bool:
        taken = await super().acquire_probe(target, holder, seconds)
        self.asked.set()
        await self.answer.wait()
        return taken


class StuckBoard(MemoryBreakerBoard):
    """A board on which a result takes time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.go_on = asyncio.Event()

    async def publish(self, target: str, state: BreakerState | None) -> None:
        await super().publish(target, state)
        await self.go_on.wait()


@pytest.mark.parametrize("state", [None, BreakerState(9_000.0, 7)])
async def test_a_probe_that_came_too_late_is_given_back_b3(state: BreakerState | None) -> None:
    clock = ManualClock()
    board = SlowBoard(clock)
    service = CircuitBreakers(clock, board, POLICY, lambda _: 30.0)
    await board.publish(TARGET, BreakerState(0.0, 1))
    asking = asyncio.create_task(service.admit(TARGET, "a"))
    await board.asked.wait()
    await board.publish(TARGET, state)
    board.answer.set()
    assert not await asking
    assert await board.acquire_probe(TARGET, "b", 1.0)


async def test_a_caller_that_leaves_while_it_asks_for_the_probe_does_not_keep_it_b3() -> None:
    clock = ManualClock()
    board = SlowBoard(clock)
    service = CircuitBreakers(clock, board, POLICY, lambda _: 30.0)
    await board.publish(TARGET, BreakerState(0.0, 1))
    asking = asyncio.create_task(service.admit(TARGET, "a"))
    await board.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    board.answer.set()
    assert await board.acquire_probe(TARGET, "b", 1.0)


@pytest.mark.parametrize("verdict", ["succeeded", "failed"])
async def test_a_caller_that_leaves_while_it_tells_the_result_gives_the_probe_back_b3(verdict: str) -> None:
    clock = ManualClock()
    board = StuckBoard(clock)
    service = CircuitBreakers(clock, board, POLICY, lambda _: 30.0)
    board.go_on.set()
    await board.publish(TARGET, BreakerState(0.0, 1))
    assert await service.admit(TARGET, "a")
    board.go_on.clear()
    telling = asyncio.create_task(getattr(service, verdict)(TARGET, "a"))
    await asyncio.sleep(0)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling
    assert await board.acquire_probe(TARGET, "b", 1.0)


async def test_it_vouches_for_what_does_well_now_b1() -> None:
    service, clock = breakers()
    assert not service.vouches(TARGET)
    await succeed(service, 1)
    assert service.vouches(TARGET)
    await fail(service, 1)
    assert not service.vouches(TARGET)
    await succeed(service, 2)
    assert service.vouches(TARGET)
    await clock.advance(2)
    assert not service.vouches(TARGET)


async def test_an_operator_opens_and_closes_it_by_hand() -> None:
    service, clock = breakers()
    await service.open(TARGET)
    assert service.opens_in([TARGET]) == 15.0
    await clock.advance(15)
    assert await service.admit(TARGET, "a")
    await service.open(TARGET)
    await service.succeeded(TARGET, "a")
    assert await is_open(service)
    await service.close(TARGET)
    assert not await is_open(service)


async def test_reports_say_what_is_shut_out_why_and_until_when() -> None:
    service, clock = breakers()
    await fail(service, 1)
    await fail(service, 3, "p/down")
    opened = clock.time()
    await clock.advance(1)
    assert service.reports([TARGET]) == [
        BreakerReport(TARGET, Phase.CLOSED, None, 1, None, None),
        BreakerReport("p/down", Phase.OPEN, "provider_timeout", 3, opened, opened + 5),
    ]
    await clock.advance(4)
    assert [row.phase for row in service.reports(["p/down", "p/new"])] == [Phase.HALF_OPEN, Phase.CLOSED]
    assert await service.admit("p/down", "a")
    await service.failed("p/down", "a")
    assert service.reports([])[0] == BreakerReport("p/down", Phase.OPEN, "provider_error", 4, opened, opened + 15)


async def test_counts_are_bounded_whatever_callers_name() -> None:
    service, _ = breakers()
    for number in range(10_100):
        await fail(service, 1, f"p/{number}")
    assert len(service._windows) == 10_000
    assert len(service._calls) == 0


async def test_a_probe_that_has_its_first_event_closes_and_how_it_ends_counts_as_any_call_b3() -> None:
    service, clock = breakers()
    await fail(service, 3)
    await clock.advance(5)
    assert await service.admit(TARGET, "probe")
    assert service.probes(TARGET, "probe")
    assert not await service.admit(TARGET, "other")
    assert not service.probes(TARGET, "other")
    await service.answered(TARGET, "probe")
    assert not service.probes(TARGET, "probe")
    assert not await is_open(service)
    await service.failed(TARGET, "probe")
    await fail(service, 1)
    assert not await is_open(service)
    await fail(service, 1)
    assert await is_open(service)
