"""The retry budget (R3)."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.manual_clock import ManualClock
from domain.services.retry_budget import SLICES, RetryBudget


def test_low_traffic_has_a_reserve_and_no_more_r3() -> None:
    budget = RetryBudget(ManualClock(), share=0.1, reserve=3)
    assert [budget.withdraw() for _ in range(5)] == [True, True, True, False, False]


def test_each_ten_requests_pay_for_a_retry_r3() -> None:
    budget = RetryBudget(ManualClock(), share=0.1, reserve=0)
    assert not budget.withdraw()
    for _ in range(29):
        budget.deposit()
    assert [budget.withdraw() for _ in range(3)] == [True, True, False]


async def test_what_leaves_the_window_neither_pays_nor_counts_r3() -> None:
    clock = ManualClock()
    budget = RetryBudget(clock, share=0.1, reserve=1, window=60.0)
    for _ in range(20):
        budget.deposit()
    assert [budget.withdraw() for _ in range(4)] == [True, True, True, False]
    await clock.advance(59.0)
    assert not budget.withdraw()
    await clock.advance(7.0)
    assert [budget.withdraw() for _ in range(2)] == [True, False]


@given(st.lists(st.tuples(st.sampled_from(["request", "retry"]), st.floats(0, 20)), max_size=200))
async def test_in_any_window_retries_are_a_tenth_of_the_requests_and_the_reserve_r3(
    steps: list[tuple[str, float]],
) -> None:
    clock = ManualClock()
    budget = RetryBudget(clock, share=0.1, reserve=2, window=60.0)
    requests: list[float] = []
    retries: list[float] = []
    for kind, pause in steps:
        await clock.advance(pause)
        now = clock.monotonic()
        if kind == "request":
            budget.deposit()
            requests.append(now)
        elif budget.withdraw():
            retries.append(now)
            # What may still count as paying is a slice older than the window.
            paying = sum(moment > now - 60.0 * (1 + 2 / SLICES) for moment in requests)
            assert sum(moment > now - 60.0 for moment in retries) <= 2 + 0.1 * paying
