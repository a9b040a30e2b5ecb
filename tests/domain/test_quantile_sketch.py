"""The sketch keeps its promise: quantiles within one percent, in bounded memory."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.services.quantile_sketch import ALPHA, MAX_BUCKETS, QuantileSketch

durations = st.floats(min_value=1e-6, max_value=3600, allow_nan=False)


@given(st.lists(durations, min_size=1, max_size=300), st.floats(0, 1))
def test_any_quantile_is_within_alpha_of_the_exact_one(values: list[float], share: float) -> None:
    sketch = QuantileSketch()
    for value in values:
        sketch.add(value)
    exact = sorted(values)[math.floor(share * (len(values) - 1))]
    assert sketch.quantile(share) == pytest.approx(exact, rel=ALPHA * 1.0001)
    assert (sketch.count, sketch.minimum, sketch.maximum) == (len(values), min(values), max(values))
    assert sketch.total == pytest.approx(sum(values))


def test_nothing_and_zeros() -> None:
    sketch = QuantileSketch()
    assert sketch.quantile(0.5) == 0.0
    for value in (0.0, 0.0, 0.0, 5.0):
        sketch.add(value)
    assert sketch.quantile(0.5) == 0.0
    assert sketch.quantile(1.0) == pytest.approx(5.0, rel=ALPHA)


def test_memory_is_bounded_and_high_quantiles_keep_their_bound() -> None:
    sketch = QuantileSketch()
    values = [1e-9 * 1.02**number for number in range(3000)]
    for value in values:
        sketch.add(value)
    assert len(sketch) == MAX_BUCKETS
    for share in (0.8, 0.95, 0.99, 1.0):
        exact = values[math.floor(share * (len(values) - 1))]
        assert sketch.quantile(share) == pytest.approx(exact, rel=ALPHA * 1.0001)
