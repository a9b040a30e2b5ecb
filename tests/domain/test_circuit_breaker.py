"""Breakers: counted in a window, opened for all, probed by one, and always with an exit (B0, B3, B4)."""

from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.memory.manual_clock import ManualClock
from domain.services.circuit_breaker import BreakerPolicy, CircuitBreakers

POLICY = BreakerPolicy(failure_threshold=3, window=10.0, recovery_timeout=5.0, max_recovery_timeout=15.0)


def breakers() -> tuple[CircuitBreakers, ManualClock]:
    clock = ManualClock()
    return CircuitBreakers(clock, MemoryBreakerBoard(clock), POLICY, probe_seconds=30.0), clock


async def fail(service: CircuitBreakers, times: int, target: str = "p/m", retry_after: float = 0.0) -> None:
    for _ in range(times):
        await service.failed(target, "h", retry_after)


async def test_failures_within_the_window_open_it_for_its_target_alone_b0() -> None:
    service, clock = breakers()
    await fail(service, 2)
    await clock.advance(11)
    await fail(service, 2)
    assert await service.admit("p/m", "h")
    await fail(service, 1)
    assert not await service.admit("p/m", "h")
    assert await service.admit("p/other", "h")
    assert service.opens_in(["p/m"]) == 5.0
    assert service.opens_in(["p/m", "p/other"]) is None
    assert service.opens_in([]) is None


async def test_a_success_forgets_failures() -> None:
    service, _ = breakers()
    await service.succeeded("p/m", "h")
    await fail(service, 2)
    await service.succeeded("p/m", "h")
    await fail(service, 2)
    assert await service.admit("p/m", "h")


async def test_one_probe_at_a_time_and_its_success_closes_b3() -> None:
    service, clock = breakers()
    await fail(service, 3)
    await clock.advance(5)
    assert await service.admit("p/m", "a")
    assert not await service.admit("p/m", "b")
    await service.succeeded("p/m", "a")
    assert await service.admit("p/m", "b")
    assert await service.admit("p/m", "c")


async def test_a_probe_that_fails_doubles_the_cooldown_up_to_its_cap_b4() -> None:
    service, clock = breakers()
    await fail(service, 3)
    for cooldown in (10.0, 15.0, 15.0):
        await clock.advance(service.opens_in(["p/m"]) or 0.0)
        assert await service.admit("p/m", "a")
        await service.failed("p/m", "a")
        assert service.opens_in(["p/m"]) == cooldown
        assert not await service.admit("p/m", "b")


async def test_a_lost_or_abandoned_prober_frees_the_probe_b3() -> None:
    service, clock = breakers()
    await fail(service, 3)
    await clock.advance(5)
    assert await service.admit("p/m", "lost")
    await clock.advance(30)
    assert await service.admit("p/m", "a")
    await service.abandoned("p/m", "a")
    assert await service.admit("p/m", "b")
    await service.abandoned("p/other", "b")


async def test_the_providers_retry_after_is_the_least_cooldown_b4() -> None:
    service, _ = breakers()
    await fail(service, 3, retry_after=40.0)
    assert service.opens_in(["p/m"]) == 40.0


async def test_counts_are_bounded_whatever_callers_name() -> None:
    service, _ = breakers()
    for number in range(10_100):
        await service.failed(f"p/{number}", "h")
    assert len(service._breakers) == 10_000
