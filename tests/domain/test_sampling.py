"""Sampling: a hash of the thread id decides, everywhere alike."""

import os
import subprocess
import sys

import pytest

from domain.services.sampling import REMEMBERED, Sampler, is_sampled


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.5, 0.9, 1.0])
def test_the_rate_is_hit_within_one_percent_of_all(rate: float) -> None:
    hits = sum(is_sampled(f"t_{number:024x}", rate) for number in range(100_000))
    assert abs(hits / 100_000 - rate) <= 0.01
    if rate in {0.0, 1.0}:
        assert hits == rate * 100_000


def test_it_equals_itself_in_other_processes() -> None:
    code = (
        "from domain.services.sampling import is_sampled;"
        "print(''.join('01'[is_sampled(f'thread-{n}', 0.1)] for n in range(2000)))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert runs == {"".join("01"[is_sampled(f"thread-{n}", 0.1)] for n in range(2000))}


def test_what_is_sampled_at_a_rate_is_sampled_at_every_higher_one() -> None:
    for number in range(1000):
        decisions = [is_sampled(str(number), rate / 10) for rate in range(11)]
        assert decisions == sorted(decisions)


def test_forcing_wins_and_memory_is_bounded() -> None:
    sampler = Sampler(0.0)
    assert not sampler.decide("mine")
    sampler.force("mine")
    assert sampler.decide("mine")
    for number in range(3 * REMEMBERED):
        sampler.decide(f"other-{number}")
    assert sampler.decide("mine")  # still forced, though its decision was forgotten
    for number in range(REMEMBERED):
        sampler.force(f"forced-{number}")
    assert len(sampler) <= 2 * REMEMBERED
    assert not sampler.decide("mine")  # so many were forced since that it has lapsed
    assert all(sampler.decide(f"forced-{number}") for number in range(REMEMBERED))
    sampler.forget(f"forced-{REMEMBERED - 1}")
    assert not sampler.decide(f"forced-{REMEMBERED - 1}")


def test_an_id_that_is_forced_again_is_the_last_to_lapse() -> None:
    sampler = Sampler(0.0)
    for number in range(REMEMBERED):
        sampler.force(str(number))
    sampler.force("0")
    sampler.force("one more")
    assert (sampler.decide("0"), sampler.decide("1")) == (True, False)


def test_any_id_can_be_asked() -> None:
    assert isinstance(Sampler(0.5).decide("\ud800"), bool)
