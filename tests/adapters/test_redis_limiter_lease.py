"""Leases of the limiter on Redis: debited before they are spent, bounded, given back, and worth it (L3)."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.redis.limiter import MAX_CALLERS
from adapters.redis.limiter_lease import LEASE_SECONDS, LeasingLimiter
from adapters.redis.limits import Missing
from domain.model import Caller, Cost, Quota, Tier
from tests.contracts.redis_time import START_US
from tests.redis_leases import ACME, CALLS, SLOW, fleet, outstanding
from tests.service import until


async def test_a_busy_caller_asks_once_for_as_many_calls_as_a_lease_has() -> None:
    """The round trips that are saved: nine in ten."""
    async with fleet() as one:
        (limiter,) = one.limiters
        for number in range(101):
            verdict = await limiter.admit(ACME, Cost(1, 50))
            assert verdict.admitted
            assert verdict.requests == Quota(600, 60, 599 - number, (number + 1) / 10)
            assert verdict.tokens == Quota(60_000, 60, 60_000 - 50 * (number + 1), (number + 1) / 20)
        assert one.client.charges == 11


async def test_a_caller_that_comes_now_and_then_has_no_lease() -> None:
    """It would cost it a round trip more, to give it back."""
    async with fleet() as one:
        for _ in range(5):
            await one.limiters[0].admit(ACME, Cost(1, 50))
            assert outstanding(one) == (0, 0)
            await one.advance(2 * LEASE_SECONDS)
        assert one.client.charges == 5


async def test_without_room_for_all_of_it_there_is_no_lease() -> None:
    """Both or none, and the call itself is admitted: of requests there are enough, of tokens not."""
    async with fleet() as one:
        (limiter,) = one.limiters
        for left in (55_000, 50_000, 45_000, 40_000):
            verdict = await limiter.admit(ACME, Cost(1, 5_000))
            assert verdict.tokens is not None
            assert verdict.tokens.remaining == left
            if left == 50_000:
                assert outstanding(one) == (9, 45_000)
        assert [(await limiter.admit(ACME, Cost(1, 5_000))).admitted for _ in range(9)] == [True] * 8 + [False]
        assert one.client.debited == [12, 60_000]


async def test_what_is_not_spent_goes_back_within_two_lives() -> None:
    async with fleet(tier=SLOW) as one:
        (limiter,) = one.limiters
        for _ in range(3):
            await limiter.admit(ACME, Cost(1, 5))
        assert outstanding(one) == (8, 40)
        await one.advance(LEASE_SECONDS)
        await one.advance(LEASE_SECONDS)
        assert outstanding(one) == (0, 0)
        assert not limiter._leases
        assert one.client.debited == [3, 15]


async def test_nothing_is_spent_after_its_life() -> None:
    """Even if it is not given back yet: it is handed in with the next charge."""
    async with fleet(tier=SLOW) as one:
        (limiter,) = one.limiters
        await limiter.admit(ACME, Cost(1, 5))
        await one.advance(0.75)
        await limiter.admit(ACME, Cost(1, 5))
        assert outstanding(one) == (9, 45)
        await one.advance(0.75)
        asked = one.client.charges
        await limiter.admit(ACME, Cost(1, 5))
        assert one.client.charges == asked
        await one.client.advance(0.25)
        one.clock._now += 250_000_000  # the sweep has yet to run
        await limiter.admit(ACME, Cost(1, 5))
        assert one.client.charges == asked + 1
        assert one.client.debited == [4 + 9, 20 + 45]


async def test_a_process_that_ends_gives_all_back() -> None:
    async with fleet() as one:
        (limiter,) = one.limiters
        for name in ("a", "b", "acme"):
            for _ in range(2):
                await limiter.admit(Caller(name), Cost(1, 5))
        await limiter.aclose()
        assert outstanding(one) == (0, 0)
        for name in ("a", "b", "acme"):
            state = await one.client.execute("GET", f"headgate:limit:default:{{{name}}}")
            assert state == b"%d 2 0 10 0" % START_US


async def test_what_a_crash_strands_is_one_lease_a_process_and_caller() -> None:
    """L3: three processes die at any moment; the caller has lost at most what they held, for as long as it takes to
    come back by itself."""
    async with fleet(3) as three:
        admitted = 0
        for number in range(50):
            admitted += (await three.limiters[number % 3].admit(ACME, Cost(1, 10))).admitted
        requests, tokens = three.client.debited
        assert admitted == 50
        assert admitted < requests <= admitted + 3 * CALLS
        assert tokens <= 10 * (admitted + 3 * CALLS)
        for limiter in three.limiters:
            limiter._leases.clear()  # nobody gives it back
        await three.advance(float(requests) / 10)
        assert await three.client.missing() == [0, 0]


async def test_while_redis_is_away_a_lease_is_spent_to_its_end_and_then_the_policy_decides() -> None:
    """L5."""
    async with fleet() as one:
        (limiter,) = one.limiters
        for _ in range(2):
            await limiter.admit(ACME, Cost(1, 5))
        one.client.down = True
        assert [(await limiter.admit(ACME, Cost(1, 5))).admitted for _ in range(4)] == [True] * 4
        assert not (await limiter.admit(ACME, Cost(1, 500))).admitted  # more than it holds
        assert outstanding(one) == (5, 25)
        await one.clock.advance(LEASE_SECONDS)
        assert not (await limiter.admit(ACME, Cost(1, 5))).admitted


async def test_who_has_used_too_much_has_no_lease_left() -> None:
    """L4: overuse is paid for by waiting."""
    async with fleet() as one:
        (limiter,) = one.limiters
        for _ in range(2):
            await limiter.admit(ACME, Cost(1, 100))
        await limiter.settle(ACME, 100, 200)
        assert outstanding(one) == (9, 900)  # it is not in debt
        await limiter.settle(ACME, 100, 100_000)
        assert not (await limiter.admit(ACME, Cost(1, 100))).admitted
        assert one.client.debited == [2, 100_200]


async def test_a_call_that_is_refused_looks_for_a_lease_that_has_come_meanwhile() -> None:
    """L1: of many at once as many are admitted as without leases."""
    async with fleet(tier=Tier(25, 60_000, 1)) as one:
        (limiter,) = one.limiters
        await limiter.admit(ACME, Cost(1, 10))
        verdicts = await asyncio.gather(*(limiter.admit(ACME, Cost(1, 10)) for _ in range(60)))
        assert sum(verdict.admitted for verdict in verdicts) == 24
        assert outstanding(one) == (0, 0)


async def test_callers_with_leases_are_bounded() -> None:
    async with fleet() as one:
        (limiter,) = one.limiters
        for number in range(MAX_CALLERS + 10):
            limiter._mark(Caller(str(number)), Missing(0, 0), 0)
        assert len(limiter._leases) == MAX_CALLERS
        known = limiter.occupancy()["headgate_limiter_callers"]
        assert known() == MAX_CALLERS
        assert (await limiter.admit(ACME, Cost(1, 5))).admitted
        assert (await limiter.admit(ACME, Cost(1, 5))).admitted
        assert len(limiter._leases) == MAX_CALLERS


async def test_a_lease_that_was_handed_in_is_not_spent_unless_it_surely_came_back() -> None:
    """L3: the reply is lost, and Redis may have taken the lease back."""
    async with fleet(tier=SLOW) as one:
        (limiter,) = one.limiters
        for _ in range(2):
            await limiter.admit(ACME, Cost(1, 5))
        one.client.losing = 1
        assert not (await limiter.admit(ACME, Cost(1, 100))).admitted
        assert outstanding(one) == (0, 0)
        assert one.client.debited == [3, 110]  # what was handed in has come back, and the charge stands
        for _ in range(2):
            await limiter.admit(ACME, Cost(1, 5))
        one.client.down = True
        assert not (await limiter.admit(ACME, Cost(1, 100))).admitted
        assert outstanding(one) == (9, 45)


async def test_nobody_spends_a_lease_while_it_is_handed_in() -> None:
    """L3."""
    async with fleet(tier=SLOW) as one:
        (limiter,) = one.limiters
        for _ in range(2):
            await limiter.admit(ACME, Cost(1, 5))
        verdicts = await asyncio.gather(*(limiter.admit(ACME, Cost(1, tokens)) for tokens in (100, 45, 5, 5)))
        assert all(verdict.admitted for verdict in verdicts)
        held = outstanding(one)
        assert one.client.debited == [6 + held[0], 165 + held[1]]


who = st.integers(0, 1)
asks = st.tuples(st.just("admit"), who, st.integers(1, 3), st.integers(0, 40))
crowds = st.tuples(st.just("crowd"), who, st.integers(1, 3), st.integers(0, 40))
waits = st.tuples(st.just("wait"), who, st.integers(0, 1_500), st.just(0))
settlements = st.tuples(st.just("settle"), who, st.integers(0, 100), st.integers(0, 150))
refunds = st.tuples(st.just("refund"), who, st.integers(0, 2), st.integers(1, 40))
losses = st.tuples(st.just("lose"), who, st.integers(1, 2), st.just(0))
outages = st.tuples(st.just("outage"), who, st.just(0), st.just(0))


async def test_of_a_caller_s_calls_one_at_a_time_asks_for_a_lease() -> None:
    """Two would have two: one more than can be told of."""
    async with fleet(tier=SLOW) as one:
        (limiter,) = one.limiters
        await limiter.admit(ACME, Cost(1, 5))
        late = one.client.late = asyncio.Event()
        asking = asyncio.create_task(limiter.admit(ACME, Cost(1, 5)))
        await until(lambda: one.client.late is None)
        for _ in range(3):
            assert (await limiter.admit(ACME, Cost(1, 5))).admitted
        late.set()
        assert (await asking).admitted
        assert outstanding(one) == (9, 45)
        assert one.client.debited == [5 + 9, 25 + 45]


async def admitted(limiter: LeasingLimiter, step: str, requests: int, tokens: int) -> list[Cost]:
    """Which of a call, or of a crowd of calls at once, were."""
    costs = [Cost(requests, tokens)] if step == "admit" else [Cost(requests, tokens), Cost(1, 1), Cost(1, tokens // 2)]
    verdicts = await asyncio.gather(*(limiter.admit(ACME, cost) for cost in costs))
    return [cost for cost, verdict in zip(costs, verdicts, strict=True) if verdict.admitted]


@given(
    limits=st.tuples(st.sampled_from([6, 60, 97]), st.sampled_from([60, 600, 6_000])),
    calls=st.integers(1, 5),
    history=st.lists(asks | crowds | waits | settlements | refunds | losses | outages, max_size=60),
)
@settings(max_examples=200)
async def test_at_any_time_what_was_admitted_and_what_is_leased_was_debited_before(
    limits: tuple[int, int], calls: int, history: list[tuple[str, int, int, int]]
) -> None:
    """L3, for any history of three processes: with corrections, lost replies, outages. And no lease is larger than so
    many calls like the largest."""
    tier, spent, largest = Tier(*limits, 1), [0, 0], [0, 0]
    async with fleet(3, tier, calls) as three:
        for step, process, first, second in history:
            limiter = three.limiters[process]
            if step == "wait":
                await three.advance(first / 1_000)
            elif step == "lose":
                three.client.losing = first
            elif step == "outage":
                three.client.down = not three.client.down
            elif step == "settle":
                await limiter.settle(ACME, first, second)
                # What cannot be told in an outage is not in Redis.
                spent[1] += min(0, second - first) if three.client.down else second - first
            elif step == "refund":
                await limiter.refund(ACME, Cost(first, second))
                spent = [spent[0] - first, spent[1] - second]
            else:
                for cost in await admitted(limiter, step, first, second):
                    spent = [known + one for known, one in zip(spent, cost, strict=True)]
                    largest = [max(known, one) for known, one in zip(largest, cost, strict=True)]
            held = outstanding(three)
            for unit in range(2):
                assert spent[unit] + held[unit] <= three.client.debited[unit]
            for limiter in three.limiters:
                for lease in limiter._leases.values():
                    assert lease.requests <= calls * largest[0]
                    assert lease.tokens <= calls * largest[1]
        three.client.down, three.client.losing = False, 0


@given(
    limits=st.tuples(st.sampled_from([6, 60, 97]), st.sampled_from([60, 600, 6_000])),
    calls=st.integers(1, 5),
    history=st.lists(asks | crowds | waits | losses, max_size=60),
)
@settings(max_examples=200)
async def test_a_window_holds_at_most_what_the_rate_gives_in_a_lease_s_life_beyond_the_limit(
    limits: tuple[int, int], calls: int, history: list[tuple[str, int, int, int]]
) -> None:
    """L1 with leases: what is admitted in an interval was debited in it, or a lease's life before it began."""
    tier, now, passed = Tier(*limits, 1), 0, list[tuple[int, int, int]]()
    async with fleet(3, tier, calls) as three:
        for step, process, first, second in history:
            if step == "wait":
                await three.advance(first / 1_000)
                now += first
            elif step == "lose":
                three.client.losing = first
            else:
                passed += [(now, *cost) for cost in await admitted(three.limiters[process], step, first, second)]
        three.client.losing = 0
    life = round(LEASE_SECONDS * 1_000)
    for begin in range(len(passed)):
        for end in range(begin, len(passed)):
            span = passed[begin : end + 1]
            length = span[-1][0] - span[0][0] + life
            for unit, limit in enumerate(limits, start=1):
                assert sum(one[unit] for one in span) * 60_000 <= limit * (60_000 + length)
