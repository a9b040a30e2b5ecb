"""What only the limiter in memory promises: a refusal leaves its state alone, and the state is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from domain.model import Caller, Cost, Tier

TIERS = {"default": Tier(6, 600, 1), "premium": Tier(60, 60_000, 1)}


@given(
    taken=st.integers(0, 6), tokens=st.integers(0, 2_000), cost=st.builds(Cost, st.integers(1, 9), st.integers(1, 900))
)
async def test_a_refusal_leaves_the_state_as_it_was_bit_for_bit(taken: int, tokens: int, cost: Cost) -> None:
    """L2: for any refusal."""
    limiter = MemoryLimiter(ManualClock(), TIERS)
    await limiter.admit(Caller("acme"), Cost(taken, 0))
    await limiter.settle(Caller("acme"), 0, tokens)
    before = list(limiter._tats.items())
    verdict = await limiter.admit(Caller("acme"), cost)
    assert (list(limiter._tats.items()) == before) is not verdict.admitted


async def test_a_refused_stranger_takes_no_place() -> None:
    """L2: and evicts nobody."""
    clock = ManualClock()
    limiter = MemoryLimiter(clock, TIERS, max_callers=1)
    await limiter.admit(Caller("acme"), Cost(6, 0))
    assert not (await limiter.admit(Caller("stranger"), Cost(7, 0))).admitted
    assert list(limiter._tats) == [Caller("acme")]


async def test_those_whose_buckets_are_full_again_are_forgotten_first() -> None:
    clock = ManualClock()
    limiter = MemoryLimiter(clock, TIERS, max_callers=3)
    await limiter.admit(Caller("slow"), Cost(6, 0))
    await limiter.admit(Caller("tokens"), Cost(0, 300))
    await limiter.admit(Caller("rich", "premium"), Cost(1, 0))
    await clock.advance(1.0)  # the premium caller is whole again
    await limiter.admit(Caller("new"), Cost(1, 0))
    assert [caller.tenant for caller in limiter._tats] == ["slow", "tokens", "new"]
    assert not (await limiter.admit(Caller("slow"), Cost(1, 0))).admitted


async def test_if_nobody_is_whole_the_one_that_was_charged_longest_ago_is_forgotten() -> None:
    clock = ManualClock()
    limiter = MemoryLimiter(clock, TIERS, max_callers=3)
    for tenant in ("a", "b", "c", "a", "d"):
        await limiter.admit(Caller(tenant), Cost(1, 0))
    assert [caller.tenant for caller in limiter._tats] == ["c", "a", "d"]


async def test_a_settlement_of_a_stranger_keeps_the_bound() -> None:
    clock = ManualClock()
    limiter = MemoryLimiter(clock, TIERS, max_callers=2)
    for number in range(10):
        await limiter.settle(Caller(str(number)), 0, 100)
    assert len(limiter._tats) == 2


async def test_any_number_of_callers_stays_in_the_bound() -> None:
    """L5: the map is bounded."""
    clock = ManualClock()
    limiter = MemoryLimiter(clock, TIERS, max_callers=100)
    for number in range(1_000):
        assert (await limiter.admit(Caller(str(number)), Cost(1, 1))).admitted
        assert len(limiter._tats) <= 100
