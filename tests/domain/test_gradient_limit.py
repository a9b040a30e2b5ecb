"""The limit that is learned from times to the first event."""

import math

from hypothesis import given
from hypothesis import strategies as st

from domain.services.gradient_limit import WINDOW, GradientLimit

seconds = st.floats(min_value=0, max_value=1e4, allow_nan=False)


def settled(limit: GradientLimit, seconds: float, samples: int = 50) -> int:
    """The limit after so many equal times, each when it was used up."""
    for _ in range(samples):
        limit.sample(seconds, limit.value)
    return limit.value


@given(st.lists(st.tuples(seconds, st.integers(0, 100), st.booleans())), st.integers(1, 50))
def test_it_stays_within_its_bounds_whatever_happens(steps: list[tuple[float, int, bool]], most: int) -> None:
    """Any times, any use, any losses."""
    limit = GradientLimit(most)
    for now, (took, in_use, lost) in enumerate(steps):
        limit.sample(took, in_use)
        if lost:
            limit.lose(now, now)
        assert 1 <= limit.value <= most


def test_it_grows_to_its_bound_while_times_stay_the_same() -> None:
    assert settled(GradientLimit(200), 0.5, 300) == 200


def test_it_does_not_grow_where_it_is_not_used() -> None:
    limit = GradientLimit(200)
    for _ in range(300):
        limit.sample(0.5, 4)
    assert limit.value == 10


def test_it_shrinks_as_times_rise_and_comes_back_as_they_fall() -> None:
    limit = GradientLimit(200)
    before = settled(limit, 0.5, 100)
    slow = settled(limit, 2.0, 60)
    assert slow < before / 4
    assert settled(limit, 0.5, 100) > slow * 4


def test_times_within_the_tolerance_do_not_count_as_slow() -> None:
    limit = GradientLimit(100)
    settled(limit, 1.0, 200)
    assert settled(limit, 1.4, 50) == 100


def test_an_average_that_load_has_spoilt_recovers_much_faster_than_its_window() -> None:
    limit = GradientLimit(100)
    settled(limit, 10.0, WINDOW)
    settled(limit, 0.1, 100)  # 10 s to 0.2 s, where 5 % a sample ends
    assert settled(limit, 0.6, 50) < 40


def test_it_settles_where_a_target_that_serves_eight_at_once_is_not_slow() -> None:
    """More than eight at once share its speed: the first event comes later by as much."""
    limit = GradientLimit(200)
    for _ in range(400):
        limit.sample(0.5 * max(1.0, limit.value / 8), limit.value)
    assert 8 <= limit.value <= 24


def test_a_loss_halves_it_once_for_all_that_were_out() -> None:
    limit = GradientLimit(100)
    settled(limit, 0.5, 300)
    for began in (1.0, 2.0, 3.0):
        limit.lose(began, 10.0)
    assert limit.value == 50
    limit.lose(10.0, 20.0)
    assert limit.value == 25
    for at in range(30, 100):
        limit.lose(at, at)
    assert limit.value == 1
    assert math.isfinite(limit.value)
