"""What only the limiter on Redis promises: exact for any limit, several processes on one state, few questions asked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction

import pytest
from fakeredis import FakeServer
from fakeredis.aioredis import FakeRedis
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.redis.connection import connector
from adapters.redis.deny_cache import FRESH, DenyCache
from adapters.redis.limiter import OutagePolicy, RedisLimiter
from adapters.redis.limits import Limits, Missing
from domain.model import Caller, Cost, Quota, Tier
from tests.contracts.redis_time import START_US, StillRedisClient, still_client
from tests.contracts.test_limiter_model import Bucket
from tests.redis_server import any_redis_url

ACME = Caller("acme")
TIERS = {"default": Tier(6, 600, 1)}
STATE = "headgate:limit:default:{acme}"


class Fleet:
    """As many processes as `skews` on one Redis, each with a clock of its own."""

    def __init__(self, client: StillRedisClient, tiers: dict[str, Tier], skews: list[float]) -> None:
        self.client = client
        self.clocks = [ManualClock(start=1_000_000.0 + skew) for skew in skews]
        self.limiters = [
            RedisLimiter(client, clock, tiers, OutagePolicy.SHARE, replicas=len(skews)) for clock in self.clocks
        ]

    async def advance(self, seconds: float) -> None:
        await self.client.advance(seconds)
        for clock in self.clocks:
            await clock.advance(seconds)


@asynccontextmanager
async def fleet(tiers: dict[str, Tier], skews: list[float], url: str | None = None) -> AsyncIterator[Fleet]:
    """On fakeredis, or on the server at `url`."""
    fake = FakeRedis(server=FakeServer(), protocol=2).connection_pool.make_connection
    async with still_client(fake if url is None else connector(url)) as client:
        yield Fleet(client, tiers, skews)


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with any_redis_url() as url:
        yield url


large = st.integers(1, 10**12) | st.sampled_from([1, 7, 59_999_999, 60_000_000, 60_000_001, 10**12 - 1, 10**12])
charges = st.tuples(st.just("admit"), st.fractions(0, 1), st.fractions(0, 1))
corrections = st.tuples(st.just("settle"), st.fractions(0, 1), st.fractions(0, 1))
pauses = st.tuples(st.just("wait"), st.fractions(0, 100), st.just(Fraction()))


@given(requests=large, tokens=large, history=st.lists(charges | corrections | pauses, max_size=12))
@settings(max_examples=150)
async def test_any_limit_that_can_be_set_is_kept_as_in_memory_to_the_last_microsecond(
    requests: int, tokens: int, history: list[tuple[str, Fraction, Fraction]]
) -> None:
    """L1: no rounding in Lua, up to 1e12 a minute."""
    tiers = {"default": Tier(requests, tokens, 1)}
    async with fleet(tiers, [0.0]) as one:
        clock = ManualClock()
        oracle = MemoryLimiter(clock, tiers)
        for step, first, second in history:
            if step == "wait":
                seconds = round(first * 10**6) / 10**6
                await one.advance(seconds)
                await clock.advance(seconds)
            elif step == "settle":
                reserved, used = int(first * tokens), int(second * tokens)
                await one.limiters[0].settle(ACME, reserved, used)
                await oracle.settle(ACME, reserved, used)
            else:
                cost = Cost(int(first * requests), int(second * tokens))
                assert await one.limiters[0].admit(ACME, cost) == await oracle.admit(ACME, cost)


who = st.integers(0, 2)
asks = st.tuples(st.just("admit"), who, st.integers(0, 3), st.integers(0, 120))
settlements = st.tuples(st.just("settle"), who, st.integers(0, 100), st.integers(0, 150))
waits = st.tuples(st.just("wait"), who, st.integers(0, 20_000), st.just(0))
jumps = st.tuples(st.just("jump"), who, st.integers(0, 7_200_000), st.just(0))


@given(
    limits=st.tuples(st.sampled_from([1, 6, 7, 97]), st.sampled_from([60, 97, 600])),
    skews=st.lists(st.floats(-3_600, 3_600), min_size=3, max_size=3),
    history=st.lists(asks | settlements | waits | jumps, max_size=40),
)
@settings(max_examples=150)
async def test_any_history_of_three_processes_is_decided_as_by_one_bucket_whatever_their_clocks_say(
    limits: tuple[int, int], skews: list[float], history: list[tuple[str, int, int, int]]
) -> None:
    """L1, L2, L3, fault 38: decisions, quotas and `retry_after`. A process may only go on refusing for a second what
    another has made possible by giving tokens back."""
    requests, tokens = (Bucket(limit, Fraction(limit)) for limit in limits)
    given_back_at: list[Fraction | None] = [None] * 3  # by another process, as each of them may not know
    now = Fraction()
    async with fleet({"default": Tier(*limits, 1)}, skews) as three:
        for step, process, first, second in history:
            limiter = three.limiters[process]
            if step == "wait":
                await three.advance(first / 1_000)
                now += Fraction(first, 1_000)
                for bucket in (requests, tokens):
                    bucket.pass_time(Fraction(first, 1_000))
            elif step == "jump":
                await three.clocks[process].advance(first / 1_000)
            elif step == "settle":
                await limiter.settle(ACME, first, second)
                tokens.level = min(Fraction(tokens.limit), tokens.level + first - second)
                given_back_at = [
                    now if first > second and other != process else at for other, at in enumerate(given_back_at)
                ]
            else:
                asked = three.client.commands
                verdict = await limiter.admit(ACME, Cost(first, second))
                passes = requests.has(first) and tokens.has(second)
                since = given_back_at[process]
                if passes and not verdict.admitted and since is not None and now - since < 1:
                    assert three.client.commands == asked
                    continue
                assert verdict.admitted is passes
                if passes:
                    requests.level -= first
                    tokens.level -= second
                if three.client.commands > asked:
                    assert requests.agrees(verdict.requests)
                    assert tokens.agrees(verdict.tokens)


@pytest.mark.parametrize("real", [False, True], ids=["fakeredis", "server"])
@given(
    taken=st.integers(0, 6), tokens=st.integers(0, 2_000), cost=st.builds(Cost, st.integers(1, 9), st.integers(1, 900))
)
@settings(max_examples=50)
async def test_a_refusal_leaves_the_state_as_it_was_bit_for_bit(
    server_url: str, taken: int, tokens: int, cost: Cost, *, real: bool
) -> None:
    """L2: for any refusal, the end of its life included."""
    async with fleet(TIERS, [0.0], server_url if real else None) as one:
        await one.limiters[0].admit(ACME, Cost(taken, 0))
        await one.limiters[0].settle(ACME, 0, tokens)
        await one.client.advance(1.0)
        before = await one.client.execute("GET", STATE), await one.client.execute("PEXPIRETIME", STATE)
        verdict = await one.limiters[0].admit(ACME, cost)
        after = await one.client.execute("GET", STATE), await one.client.execute("PEXPIRETIME", STATE)
        assert (before == after) is not verdict.admitted


async def test_what_is_kept_of_a_caller_goes_when_its_buckets_are_full_again() -> None:
    """Bounded memory: one key a caller and limit, one for each settlement, all with an end."""
    async with fleet(TIERS, [0.0]) as one:
        await one.limiters[0].admit(ACME, Cost(3, 10))  # 30 s of requests, 1 s of tokens
        await one.limiters[0].settle(ACME, 10, 20)
        keys = await one.client.execute("KEYS", "headgate:*")
        assert isinstance(keys, list)
        assert len(keys) == 2
        for key in keys:
            assert isinstance(key, bytes)
            left = await one.client.execute("PTTL", key)
            assert isinstance(left, int)
            assert 0 < left <= 41_000
        await one.advance(41.0)
        assert await one.client.execute("KEYS", "headgate:*") == []


async def test_a_redis_clock_that_is_set_back_shuts_nobody_out() -> None:
    """Fault 38: nothing comes back for the time that is lost, and the rate counts from there on."""
    async with fleet(TIERS, [0.0]) as one:
        (limiter,) = one.limiters
        assert (await limiter.admit(ACME, Cost(6, 0))).admitted
        await one.client.set_time(START_US - 3_600_000_000)
        assert (await limiter.admit(ACME, Cost(1, 0))).retry_after == 10
        await one.advance(10.0)
        assert (await limiter.admit(ACME, Cost(1, 0))).admitted
        assert not (await limiter.admit(ACME, Cost(1, 0))).admitted


@pytest.mark.parametrize("requests", [6, 600, 6_000])
async def test_a_flood_is_refused_without_redis(requests: int) -> None:
    """L3: at least 95 % of the refusals, of fifty calls at once, also while requests come back all the time."""
    async with fleet({"default": Tier(requests, 10**9, 1)}, [0.0, 3_600.0]) as two:
        asked = admitted = refused = 0
        for _ in range(300):
            before = two.client.commands
            verdicts = await asyncio.gather(
                *(limiter.admit(ACME, Cost(1, 10)) for limiter in two.limiters for _ in range(25))
            )
            asked += two.client.commands - before
            admitted += sum(verdict.admitted for verdict in verdicts)
            refused += sum(not verdict.admitted for verdict in verdicts)
            await two.advance(0.01)
        assert admitted == requests + requests * 299 // 6_000
        assert asked - admitted <= 0.05 * refused


async def test_the_deny_cache_knows_costs() -> None:
    """L3: what may pass is asked, also by a caller that was just refused more."""
    async with fleet(TIERS, [0.0]) as one:
        (limiter,) = one.limiters
        await limiter.admit(ACME, Cost(1, 500))
        assert not (await limiter.admit(ACME, Cost(1, 101))).admitted
        asked = one.client.commands
        assert (await limiter.admit(ACME, Cost(1, 200))).retry_after == 10
        assert one.client.commands == asked
        assert (await limiter.admit(ACME, Cost(1, 60))).admitted
        assert one.client.commands == asked + 1
        assert (await limiter.admit(ACME, Cost(1, 101))).tokens == Quota(600, 60, 40, 56.0)
        assert one.client.commands == asked + 1


async def test_a_refusal_is_checked_again_after_a_second() -> None:
    """L3: another replica may have given tokens back."""
    async with fleet(TIERS, [0.0, 0.0]) as two:
        here, there = two.limiters
        await there.admit(ACME, Cost(1, 600))
        assert (await here.admit(ACME, Cost(1, 600))).retry_after == 60
        await there.settle(ACME, 600, 0)
        await two.advance(0.9)
        assert not (await here.admit(ACME, Cost(1, 600))).admitted
        await two.advance(0.1)
        assert (await here.admit(ACME, Cost(1, 600))).admitted


async def test_of_many_calls_one_looks_whether_a_refusal_still_holds() -> None:
    """L3: the others are refused until it has heard."""
    async with fleet(TIERS, [0.0]) as one:
        (limiter,) = one.limiters
        assert not all([(await limiter.admit(ACME, Cost(1, 0))).admitted for _ in range(7)])
        await one.advance(FRESH / 10**9)
        before = one.client.commands
        verdicts = await asyncio.gather(*(limiter.admit(ACME, Cost(1, 0)) for _ in range(50)))
        assert not any(verdict.admitted for verdict in verdicts)
        assert one.client.commands == before + 1


async def test_a_settlement_is_forgotten_by_no_process() -> None:
    """L4: reserved here, settled there: one bucket."""
    async with fleet(TIERS, [0.0, 0.0]) as two:
        here, there = two.limiters
        await here.admit(ACME, Cost(1, 500))
        await there.settle(ACME, 500, 900)
        assert (await here.admit(ACME, Cost(0, 0))).tokens == Quota(600, 60, 0, 90.0)


@pytest.mark.parametrize("losses", [0, 1, 2, 3])
async def test_a_settlement_whose_replies_are_lost_is_done_once(losses: int) -> None:
    """L4, fault 8: it is tried again, under one operation id."""
    async with fleet(TIERS, [0.0]) as one:
        (limiter,) = one.limiters
        await limiter.admit(ACME, Cost(1, 500))
        one.client.lose_replies = losses
        await limiter.settle(ACME, 500, 400)
        assert one.client.lose_replies == 0
        assert (await limiter.admit(ACME, Cost(0, 0))).tokens == Quota(600, 60, 200, 40.0)
        one.client.lose_replies = losses
        await limiter.settle(ACME, 400, 450)
        assert (await limiter.admit(ACME, Cost(0, 0))).tokens == Quota(600, 60, 150, 45.0)


async def test_numbers_beyond_any_limit_change_nothing_that_they_should_not() -> None:
    """A provider that counts nonsense costs its caller no more than a long wait."""
    async with fleet({"default": Tier(6, 1, 1)}, [0.0]) as one:
        (limiter,) = one.limiters
        assert (await limiter.admit(ACME, Cost(10**30, 10**30))).retry_after is None
        await limiter.settle(ACME, 0, 10**30)
        assert (await limiter.admit(ACME, Cost(1, 0))).admitted
        assert (await limiter.admit(ACME, Cost(1, 1))).retry_after == 60 * 10**12
        await limiter.settle(ACME, 10**30, 0)
        assert (await limiter.admit(ACME, Cost(1, 1))).admitted


@pytest.mark.parametrize("callers", [1, 5, 100])
def test_the_deny_cache_is_bounded_and_forgets_the_oldest(callers: int) -> None:
    """L5."""
    cache = DenyCache(5)
    for number in range(callers):
        cache.put(Caller(str(number)), Missing(6 * 60 * 10**9, 0), 0, 0)
        assert len(cache) <= 5
    limits = Limits.of(TIERS["default"])
    assert cache.refuse(Caller(str(callers - 1)), limits, Cost(1, 0), 1) is not None
    assert (Caller("0") in cache) is (callers <= 5)
    assert cache.refuse(Caller(str(callers - 1)), limits, Cost(1, 0), 60 * FRESH) is None
    assert len(cache) == min(callers, 5) - 1
