"""The contract of the limiter port, by examples. `test_limiter_model` holds it against a plain bucket."""

import asyncio

import pytest

from domain.model import Caller, Cost, Quota, Tier, Verdict
from ports.limiter import Limiter
from tests.contracts.cases import OpenLimiter

ACME, OTHER, RICH = Caller("acme"), Caller("other"), Caller("rich", "premium")
TIERS = {"default": Tier(6, 600, 1), "premium": Tier(60, 60_000, 1)}  # a request each 10 s, 10 tokens a second


async def admitted(limiter: Limiter, caller: Caller, tokens: int = 0, requests: int = 1) -> bool:
    return (await limiter.admit(caller, Cost(requests, tokens))).admitted


async def test_a_burst_is_a_minute_s_worth_and_then_the_rate_counts(open_any_limiter: OpenLimiter) -> None:
    async with open_any_limiter(TIERS) as (limiter, advance):
        assert [await admitted(limiter, ACME) for _ in range(7)] == [True] * 6 + [False]
        await advance(9.0)
        assert not await admitted(limiter, ACME)
        await advance(1.0)
        assert [await admitted(limiter, ACME) for _ in range(2)] == [True, False]


async def test_a_bucket_never_holds_more_than_the_burst(open_any_limiter: OpenLimiter) -> None:
    async with open_any_limiter(TIERS) as (limiter, advance):
        await admitted(limiter, ACME)
        await advance(3_600.0)
        assert [await admitted(limiter, ACME) for _ in range(7)] == [True] * 6 + [False]


async def test_callers_do_not_share_and_tiers_differ(open_any_limiter: OpenLimiter) -> None:
    async with open_any_limiter(TIERS) as (limiter, _):
        assert await admitted(limiter, ACME, 600)
        assert await admitted(limiter, OTHER, 600)
        assert await admitted(limiter, RICH, 60_000)
        assert not await admitted(limiter, ACME, 1)


async def test_an_admission_says_how_both_limits_stand(open_any_limiter: OpenLimiter) -> None:
    async with open_any_limiter(TIERS) as (limiter, advance):
        assert await limiter.admit(ACME, Cost(1, 150)) == Verdict(
            admitted=True, requests=Quota(6, 60, 5, 10.0), tokens=Quota(600, 60, 450, 15.0), retry_after=None
        )
        await advance(5.0)
        assert await limiter.admit(ACME, Cost(1, 0)) == Verdict(
            admitted=True, requests=Quota(6, 60, 4, 15.0), tokens=Quota(600, 60, 500, 10.0), retry_after=None
        )


async def test_a_refusal_says_how_both_limits_stand_and_when_the_call_passes(open_any_limiter: OpenLimiter) -> None:
    async with open_any_limiter(TIERS) as (limiter, _):
        await limiter.admit(ACME, Cost(2, 500))
        assert await limiter.admit(ACME, Cost(1, 101)) == Verdict(
            admitted=False, requests=Quota(6, 60, 4, 20.0), tokens=Quota(600, 60, 100, 50.0), retry_after=1
        )


async def test_all_pass_or_none_is_charged(open_any_limiter: OpenLimiter) -> None:
    """L1: requests and tokens are decided in one step."""
    async with open_any_limiter(TIERS) as (limiter, _):
        await limiter.admit(ACME, Cost(1, 590))
        for _ in range(20):
            assert not await admitted(limiter, ACME, 11)  # enough requests, too few tokens
        assert [await admitted(limiter, ACME, 2) for _ in range(6)] == [True] * 5 + [False]
        assert not await admitted(limiter, ACME, 1)  # no requests: the token that is left stays
        assert (await limiter.admit(ACME, Cost(0, 0))).tokens == Quota(600, 60, 0, 60.0)


async def test_many_at_once_are_admitted_up_to_the_burst(open_any_limiter: OpenLimiter) -> None:
    """L1."""
    async with open_any_limiter(TIERS) as (limiter, _):
        verdicts = await asyncio.gather(*(limiter.admit(ACME, Cost(1, 10)) for _ in range(50)))
        assert sum(verdict.admitted for verdict in verdicts) == 6


@pytest.mark.parametrize(
    ("taken", "cost", "retry_after"),
    [
        (Cost(6, 0), Cost(1, 0), 10),
        (Cost(6, 0), Cost(6, 0), 60),
        (Cost(1, 600), Cost(1, 1), 1),  # 0.1 s: never below 1
        (Cost(1, 600), Cost(1, 10), 1),
        (Cost(1, 600), Cost(1, 11), 2),  # 1.1 s
        (Cost(6, 600), Cost(1, 600), 60),  # the longer of the two
    ],
)
async def test_retry_after_is_the_least_whole_time_after_which_the_same_call_passes(
    open_any_limiter: OpenLimiter, taken: Cost, cost: Cost, retry_after: int
) -> None:
    """L2."""
    async with open_any_limiter(TIERS) as (limiter, advance):
        assert (await limiter.admit(ACME, taken)).admitted
        assert (await limiter.admit(ACME, cost)).retry_after == retry_after
        await advance(retry_after - 1)
        assert (await limiter.admit(ACME, cost)).retry_after == 1
        await advance(1)
        assert (await limiter.admit(ACME, cost)).admitted


@pytest.mark.parametrize("cost", [Cost(1, 601), Cost(7, 0), Cost(7, 601), Cost(1, 10**15)])
async def test_a_cost_above_the_burst_never_passes_and_has_no_retry_after(
    open_any_limiter: OpenLimiter, cost: Cost
) -> None:
    """L2."""
    async with open_any_limiter(TIERS) as (limiter, _):
        verdict = await limiter.admit(ACME, cost)
        assert (verdict.admitted, verdict.retry_after) == (False, None)
        assert verdict.requests == Quota(6, 60, 6, 0.0)
        assert verdict.tokens == Quota(600, 60, 600, 0.0)
        assert await admitted(limiter, ACME, 600, 6)


async def test_what_was_not_used_is_given_back(open_any_limiter: OpenLimiter) -> None:
    """L4."""
    async with open_any_limiter(TIERS) as (limiter, _):
        await limiter.admit(ACME, Cost(1, 600))
        await limiter.settle(ACME, 600, 100)
        assert [await admitted(limiter, ACME, 500), await admitted(limiter, ACME, 1)] == [True, False]


async def test_what_was_used_beyond_is_charged(open_any_limiter: OpenLimiter) -> None:
    """L4: and is paid for by waiting, also beyond the burst."""
    async with open_any_limiter(TIERS) as (limiter, advance):
        await limiter.admit(ACME, Cost(1, 100))
        await limiter.settle(ACME, 100, 900)
        verdict = await limiter.admit(ACME, Cost(1, 100))
        assert (verdict.tokens, verdict.retry_after) == (Quota(600, 60, 0, 90.0), 40)
        await advance(39.0)
        assert not await admitted(limiter, ACME, 100)
        await advance(1.0)
        assert await admitted(limiter, ACME, 100)


async def test_a_cost_of_nothing_passes_also_in_debt(open_any_limiter: OpenLimiter) -> None:
    """C3: who joins a stream is charged by its request limit alone."""
    async with open_any_limiter(TIERS) as (limiter, _):
        await limiter.settle(ACME, 0, 5_000)
        assert await admitted(limiter, ACME, 0)
        assert not await admitted(limiter, ACME, 1)


async def test_a_refund_never_grants_more_than_the_burst(open_any_limiter: OpenLimiter) -> None:
    """L4: nor is it saved up against what is used later."""
    async with open_any_limiter(TIERS) as (limiter, advance):
        await limiter.admit(ACME, Cost(1, 600))
        await advance(59.0)
        await limiter.settle(ACME, 600, 0)
        await limiter.settle(ACME, 0, 10)
        assert (await limiter.admit(ACME, Cost(0, 0))).tokens == Quota(600, 60, 590, 1.0)
        await limiter.settle(OTHER, 600, 0)
        assert [await admitted(limiter, OTHER, 600), await admitted(limiter, OTHER, 1)] == [True, False]


async def test_a_refund_gives_the_request_back_with_its_tokens(open_any_limiter: OpenLimiter) -> None:
    """L2: what is refused after it was admitted costs nothing; it may be admitted again as if it had not been."""
    async with open_any_limiter(TIERS) as (limiter, advance):
        await limiter.admit(ACME, Cost(3, 100))
        before = await limiter.admit(ACME, Cost(0, 0))
        for _ in range(20):
            assert await admitted(limiter, ACME, 500)
            await limiter.refund(ACME, Cost(1, 500))
        assert await limiter.admit(ACME, Cost(0, 0)) == before
        assert await admitted(limiter, ACME, 0, 3)
        assert not await admitted(limiter, ACME, 0)
        await limiter.refund(ACME, Cost(1, 0))  # heard of at once, by who was just refused
        assert [await admitted(limiter, ACME, 0) for _ in range(2)] == [True, False]
        await advance(60.0)
        await limiter.refund(ACME, Cost(6, 600))  # never above the burst
        assert [await admitted(limiter, ACME, 100) for _ in range(7)] == [True] * 6 + [False]


async def test_a_settlement_as_reserved_changes_nothing(open_any_limiter: OpenLimiter) -> None:
    """L4."""
    async with open_any_limiter(TIERS) as (limiter, _):
        before = await limiter.admit(ACME, Cost(1, 300))
        await limiter.settle(ACME, 300, 300)
        after = await limiter.admit(ACME, Cost(0, 0))
        assert (after.requests, after.tokens) == (before.requests, before.tokens)
