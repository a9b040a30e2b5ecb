"""The limiter port against two plain buckets in exact fractions, for any history."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model import Caller, Cost, Quota, Tier
from tests.contracts.cases import OpenLimiter

ACME = Caller("acme")
MILLISECONDS = 1_000


@dataclass
class Bucket:
    """Holds `limit`, gains `limit` a minute. The level may be below nothing after overuse."""

    limit: int
    level: Fraction

    def pass_time(self, seconds: Fraction) -> None:
        self.level = min(Fraction(self.limit), self.level + Fraction(self.limit, 60) * seconds)

    def has(self, cost: int) -> bool:
        return cost == 0 or self.level >= cost

    def whole_seconds_until(self, cost: int) -> int:
        seconds = 0
        while not Bucket(self.limit, self.level + Fraction(self.limit, 60) * seconds).has(cost):
            seconds += 1
        return seconds

    def agrees(self, quota: Quota | None) -> bool:
        if quota is None or quota.reset != pytest.approx(float((self.limit - self.level) * 60 / self.limit)):
            return False
        return (quota.limit, quota.window, quota.remaining) == (self.limit, 60, max(0, int(self.level // 1)))


# Limits that divide a minute badly, too.
limits = st.sampled_from([1, 2, 6, 7, 60, 97, 600])
costs = st.tuples(st.just("admit"), st.integers(0, 3), st.integers(0, 120))
refunds = st.tuples(st.just("refund"), st.integers(0, 3), st.integers(1, 120))
settlements = st.tuples(st.just("settle"), st.integers(0, 100), st.integers(0, 150))
pauses = st.tuples(st.just("wait"), st.integers(0, 20_000), st.just(0))


@given(
    requests=limits,
    tokens=limits,
    history=st.lists(costs | settlements | refunds | pauses, max_size=30),
)
@settings(deadline=None, max_examples=150)
async def test_any_history_is_decided_as_by_two_plain_buckets(
    open_limiter: OpenLimiter, requests: int, tokens: int, history: list[tuple[str, int, int]]
) -> None:
    """L1, L2, L4: decision, quotas and `retry_after`, exactly; a refusal costs nothing."""
    buckets = Bucket(requests, Fraction(requests)), Bucket(tokens, Fraction(tokens))
    async with open_limiter({"default": Tier(requests, tokens, 1)}) as (limiter, advance):
        for step, first, second in history:
            if step == "wait":
                await advance(first / MILLISECONDS)
                for bucket in buckets:
                    bucket.pass_time(Fraction(first, MILLISECONDS))
            elif step == "settle":
                await limiter.settle(ACME, first, second)
                buckets[1].level = min(Fraction(tokens), buckets[1].level + first - second)
            elif step == "refund":
                await limiter.refund(ACME, Cost(first, second))
                for bucket, given_back in zip(buckets, (first, second), strict=True):
                    bucket.level = min(Fraction(bucket.limit), bucket.level + given_back)
            else:
                verdict = await limiter.admit(ACME, Cost(first, second))
                asked = list(zip(buckets, (first, second), strict=True))
                assert verdict.admitted is all(bucket.has(cost) for bucket, cost in asked)
                if verdict.admitted:
                    assert verdict.retry_after is None
                    for bucket, cost in asked:
                        bucket.level -= cost
                elif first > requests or second > tokens:
                    assert verdict.retry_after is None
                else:
                    assert verdict.retry_after == max(1, *(one.whole_seconds_until(cost) for one, cost in asked))
                assert buckets[0].agrees(verdict.requests)
                assert buckets[1].agrees(verdict.tokens)


calls = st.tuples(st.integers(0, 15_000), st.integers(1, 2), st.integers(0, 60))


@given(requests=limits, tokens=limits, history=st.lists(calls, max_size=40))
@settings(deadline=None, max_examples=100)
async def test_in_any_interval_at_most_burst_and_rate_times_its_length_is_admitted(
    open_limiter: OpenLimiter, requests: int, tokens: int, history: list[tuple[int, int, int]]
) -> None:
    """L1: for each pair of admissions, in whole milliseconds, without rounding."""
    times = list(accumulate(pause for pause, _, _ in history))
    admitted = []
    async with open_limiter({"default": Tier(requests, tokens, 1)}) as (limiter, advance):
        for time, (pause, one, other) in zip(times, history, strict=True):
            await advance(pause / MILLISECONDS)
            if (await limiter.admit(ACME, Cost(one, other))).admitted:
                admitted.append((time, one, other))
    for begin in range(len(admitted)):
        for end in range(begin, len(admitted)):
            span = admitted[begin : end + 1]
            minute = 60 * MILLISECONDS
            length = span[-1][0] - span[0][0]
            assert sum(one for _, one, _ in span) * minute <= requests * minute + requests * length
            assert sum(other for _, _, other in span) * minute <= tokens * minute + tokens * length


@given(limit=limits, taken=st.integers(0, 600), cost=st.integers(1, 600), pause=st.integers(0, 60_000))
@settings(deadline=None, max_examples=100)
async def test_the_same_call_passes_after_retry_after_and_not_a_second_before(
    open_limiter: OpenLimiter, limit: int, taken: int, cost: int, pause: int
) -> None:
    """L2: for any refusal."""
    async with open_limiter({"default": Tier(1_000, limit, 1)}) as (limiter, advance):
        await limiter.settle(ACME, 0, taken)
        await advance(pause / MILLISECONDS)
        verdict = await limiter.admit(ACME, Cost(1, cost))
        if verdict.retry_after is None:
            assert verdict.admitted is (cost <= limit)
            return
        await advance(verdict.retry_after - 1)
        assert not (await limiter.admit(ACME, Cost(1, cost))).admitted
        await advance(1)
        assert (await limiter.admit(ACME, Cost(1, cost))).admitted
