"""The limiter on Redis when Redis fails: it decides in time, by policy, never raises, and nothing is charged twice."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.manual_clock import ManualClock
from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.limiter import OutagePolicy, RedisLimiter, divided
from domain.model import Caller, Cost, Quota, Tier, Verdict
from tests.contracts.redis_time import StillRedisClient, still_client
from tests.loop_time import loop_time
from tests.redis_cases import Patient, redis_client
from tests.redis_proxy import Proxy
from tests.redis_server import RedisServer
from tests.service import until

ACME, OTHER = Caller("acme"), Caller("other")
TIERS = {"default": Tier(6, 600, 1)}
DECISION_SECONDS = 0.05
SLACK = 0.1
"""Seconds that a busy machine may add to a time that is measured here."""


@pytest.fixture
async def still(proxy: Proxy) -> AsyncIterator[StillRedisClient]:
    async with still_client(connector(proxy.url)) as client:
        yield client


def limiter_on(
    client: RedisClient, policy: OutagePolicy = OutagePolicy.SHARE, replicas: int = 2, tiers: dict[str, Tier] = TIERS
) -> RedisLimiter:
    return RedisLimiter(client, SystemClock(), tiers, policy, replicas)


async def slowest_of(limiter: RedisLimiter, count: int) -> float:
    """The longest of so many decisions, one after the other."""
    longest = 0.0
    for number in range(count):
        async with loop_time() as passed:
            await limiter.admit(Caller(str(number)), Cost(1, 1))
        longest = max(longest, passed.seconds)
    return longest


@pytest.mark.parametrize("policy", OutagePolicy)
async def test_a_redis_that_is_down_is_decided_without_by_policy(
    server: RedisServer, client: RedisClient, policy: OutagePolicy
) -> None:
    """L5, fault 2: in time, never an error."""
    limiter = limiter_on(client, policy)
    server.kill()
    assert await slowest_of(limiter, 200) < DECISION_SECONDS + SLACK
    verdicts = [await limiter.admit(ACME, Cost(1, 10)) for _ in range(10)]
    admitted = {OutagePolicy.SHARE: 3, OutagePolicy.DENY: 0, OutagePolicy.ALLOW: 10}[policy]
    assert sum(verdict.admitted for verdict in verdicts) == admitted
    assert all(verdict.admitted or verdict.retry_after for verdict in verdicts)
    assert limiter.occupancy()["headgate_limiter_decided_alone"]() == 210
    assert await limiter.admit(ACME, Cost(1, 601)) == Verdict(admitted=False)  # not even a whole bucket has that
    await limiter.settle(ACME, 10, 5)


@pytest.mark.parametrize("policy", OutagePolicy)
async def test_a_redis_that_hangs_is_not_waited_for(
    server: RedisServer, client: RedisClient, policy: OutagePolicy
) -> None:
    """L5, fault 4: nor by many at once."""
    limiter = limiter_on(client, policy)
    await limiter.admit(ACME, Cost(1, 1))
    server.pause()
    assert await slowest_of(limiter, 20) < DECISION_SECONDS + SLACK
    async with loop_time() as passed:
        await asyncio.gather(*(limiter.admit(Caller(str(number)), Cost(1, 1)) for number in range(200)))
    assert passed.seconds < DECISION_SECONDS + SLACK
    await until(lambda: not client.healthy)
    assert await slowest_of(limiter, 1_000) < SLACK
    server.resume()
    await until(lambda: client.healthy)
    quota = (await limiter.admit(OTHER, Cost(1, 1))).requests
    assert quota is not None
    assert (quota.limit, quota.remaining) == (6, 5)  # the whole limit, not a part


async def test_what_is_more_than_a_part_is_refused_for_now_and_not_for_ever(
    server: RedisServer, client: RedisClient
) -> None:
    """L5: it passes when Redis is back."""
    limiter = limiter_on(client)
    server.kill()
    assert (await limiter.admit(ACME, Cost(1, 400))).retry_after == 1


@pytest.mark.parametrize(("replicas", "part"), [(1, (6, 600)), (2, (3, 300)), (4, (1, 150)), (1_000, (1, 1))])
def test_a_part_is_at_least_one(replicas: int, part: tuple[int, int]) -> None:
    """L5."""
    tier = divided(TIERS["default"], replicas)
    assert (tier.requests_per_minute, tier.tokens_per_minute) == part


async def test_one_outage_adds_at_most_two_bursts(server: RedisServer, client: RedisClient) -> None:
    """L5, fault 21: the parts of all replicas, and another burst where Redis has lost its data."""
    replicas = [limiter_on(client) for _ in range(2)]

    async def admitted() -> int:
        verdicts = await asyncio.gather(*(one.admit(ACME, Cost(1, 1)) for one in replicas for _ in range(20)))
        return sum(verdict.admitted for verdict in verdicts)

    assert await admitted() == 6
    server.kill()
    await until(lambda: not client.healthy)
    for replica in replicas:
        replica._refusals.forget(ACME)  # so that not even its last refusal holds it back
    outage = await admitted()
    assert outage == 6
    server.start()
    await until(lambda: client.healthy)
    await asyncio.sleep(1.0)  # what a replica knows of a refusal is for a second
    assert outage + await admitted() <= 12 + 1  # a request comes back each 10 s


async def test_what_was_admitted_without_redis_is_settled_without(server: RedisServer, client: RedisClient) -> None:
    """L4: tokens that Redis never gave are not given back to it."""
    limiter = limiter_on(client)
    server.kill()
    await until(lambda: not client.healthy)
    assert (await limiter.admit(ACME, Cost(1, 300))).admitted
    assert (await limiter.admit(OTHER, Cost(1, 300))).admitted
    server.start()
    await until(lambda: client.healthy)
    assert (await limiter.admit(ACME, Cost(1, 600))).admitted
    await limiter.settle(ACME, 300, 0)
    assert not (await limiter.admit(ACME, Cost(1, 300))).admitted
    await limiter.settle(ACME, 600, 0)
    assert (await limiter.admit(ACME, Cost(1, 300))).admitted
    server.kill()
    await until(lambda: not client.healthy)
    assert (await limiter.admit(ACME, Cost(0, 299))).admitted  # what was settled is here
    await limiter.settle(OTHER, 300, 350)
    assert not (await limiter.admit(OTHER, Cost(0, 1))).admitted


@pytest.mark.parametrize("policy", OutagePolicy)
async def test_what_was_admitted_without_redis_is_refunded_without(
    server: RedisServer, client: RedisClient, policy: OutagePolicy
) -> None:
    """L2, L3: in an outage a refusal costs nothing either, and Redis is given nothing that it never gave."""
    limiter = limiter_on(client, policy)
    assert (await limiter.admit(OTHER, Cost(6, 1))).admitted
    server.kill()
    await until(lambda: not client.healthy)
    for _ in range(10):
        admitted = (await limiter.admit(ACME, Cost(1, 300))).admitted
        assert admitted is (policy is not OutagePolicy.DENY)
        if admitted:
            await limiter.refund(ACME, Cost(1, 300))
    if policy is OutagePolicy.SHARE:
        assert [(await limiter.admit(ACME, Cost(1, 0))).admitted for _ in range(4)] == [True] * 3 + [False]
    kept = (await limiter.admit(OTHER, Cost(1, 7))).admitted
    server.start()
    await until(lambda: client.healthy)
    assert (await limiter.admit(OTHER, Cost(6, 0))).admitted
    if kept:
        await limiter.refund(OTHER, Cost(1, 7))
    assert not (await limiter.admit(OTHER, Cost(1, 0))).admitted


async def test_overuse_that_cannot_be_told_counts_here(server: RedisServer, client: RedisClient) -> None:
    """L4: what is given back is lost with the outage, what was used beyond is not."""
    limiter = limiter_on(client)
    assert (await limiter.admit(ACME, Cost(1, 100))).admitted
    server.kill()
    await until(lambda: not client.healthy)
    await limiter.settle(ACME, 100, 500)
    assert not (await limiter.admit(ACME, Cost(0, 1))).admitted


async def test_a_lost_reply_charges_once_and_a_settlement_is_done_once(proxy: Proxy, still: StillRedisClient) -> None:
    """Fault 8, L4: a settlement's reply is lost three times, and it is done once."""
    limiter = RedisLimiter(still, ManualClock(), TIERS, OutagePolicy.DENY, replicas=2)
    assert (await limiter.admit(ACME, Cost(1, 500))).admitted
    proxy.lose_replies = True
    await limiter.settle(ACME, 500, 450)
    proxy.lose_replies = False
    await until(lambda: still.healthy)
    assert (await limiter.admit(ACME, Cost(0, 0))).tokens == Quota(600, 60, 150, 45.0)
    proxy.lose_replies = True
    assert await limiter.admit(ACME, Cost(1, 50)) == Verdict(admitted=False, retry_after=1)
    proxy.lose_replies = False
    await until(lambda: still.healthy)
    assert (await limiter.admit(ACME, Cost(0, 0))).tokens == Quota(600, 60, 100, 50.0)


async def test_replies_lost_now_and_then_charge_nothing_twice(proxy: Proxy, still: StillRedisClient) -> None:
    """Fault 8: what was charged is what was admitted, and at most once what nobody can know."""
    tiers = {"default": Tier(10_000, 10_000_000, 1)}
    limiter = RedisLimiter(still, ManualClock(), tiers, OutagePolicy.DENY, replicas=2)
    known = unknown = 0
    for _ in range(30):
        proxy.lose_replies = True
        verdicts = await asyncio.gather(*(limiter.admit(ACME, Cost(1, 1)) for _ in range(7)))
        known += sum(verdict.admitted for verdict in verdicts)
        unknown += sum(not verdict.admitted for verdict in verdicts)
        proxy.lose_replies = False
        for _ in range(3):
            while not (await limiter.admit(ACME, Cost(1, 1))).admitted:  # the check may have lost its reply too
                unknown += 1
                await until(lambda: still.healthy)
            known += 1
    verdict = await limiter.admit(ACME, Cost(0, 0))
    assert verdict.requests is not None
    assert known <= 10_000 - verdict.requests.remaining <= known + unknown
    assert known == 90
    assert unknown >= 210


async def test_a_reset_connection_is_decided_by_policy(server: RedisServer, proxy: Proxy) -> None:
    """Fault 7: nothing raises, and Redis is used again when it answers."""
    async with redis_client(connector(proxy.url), pool_min=4) as client:
        limiter = limiter_on(client, tiers={"default": Tier(100_000, 100_000, 1)})
        for _ in range(10):
            await until(lambda: client.healthy)
            before = client.commands
            assert (await limiter.admit(ACME, Cost(1, 1))).admitted
            assert client.commands > before
            asking = [asyncio.create_task(limiter.admit(ACME, Cost(1, 1))) for _ in range(20)]
            await asyncio.sleep(0)
            proxy.reset()
            assert all(verdict.admitted for verdict in await asyncio.gather(*asking))


async def test_scripts_that_are_flushed_again_and_again(server: RedisServer) -> None:
    """Fault 18: transparent, and each call is charged and settled once."""
    stop = asyncio.Event()

    async def flush() -> None:
        async with server.session() as command:
            while not stop.is_set():
                assert await command("SCRIPT", "FLUSH") == "+OK"

    async with redis_client(connector(server.url), kind=Patient) as client:
        limiter = limiter_on(client, OutagePolicy.DENY, tiers={"default": Tier(1_000, 1_000_000, 1)})
        flushing, began = asyncio.create_task(flush()), time.monotonic()
        verdicts = []
        for _ in range(100):
            verdicts += await asyncio.gather(*(limiter.admit(ACME, Cost(1, 100)) for _ in range(5)))
            await asyncio.gather(*(limiter.settle(ACME, 100, 40) for _ in range(5)))
        stop.set()
        await flushing
        verdict = await limiter.admit(ACME, Cost(0, 0))
    assert all(verdict.admitted for verdict in verdicts)
    assert verdict.requests is not None
    assert verdict.tokens is not None
    assert 500 <= verdict.requests.remaining <= 501 + (time.monotonic() - began) * 1_000 / 60
    assert verdict.tokens.remaining >= 1_000_000 - 500 * 40


async def test_a_full_redis_keeps_the_limits(server: RedisServer, client: RedisClient) -> None:
    """Fault 16: a limiter needs a few bytes, and gets them."""
    await client.execute("SET", "large", "x" * 2_000_000)
    await server.command("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
    limiter = limiter_on(client, OutagePolicy.DENY)
    verdicts = [await limiter.admit(ACME, Cost(1, 100)) for _ in range(8)]
    assert [verdict.admitted for verdict in verdicts] == [True] * 6 + [False] * 2
    await limiter.settle(ACME, 100, 0)
    quota = (await limiter.admit(ACME, Cost(0, 0))).tokens
    assert quota is not None
    assert 100 <= quota.remaining < 120  # 10 come back each second


async def test_a_redis_that_takes_no_writes_is_as_good_as_down(server: RedisServer, client: RedisClient) -> None:
    """Faults 14 and 17: by policy."""
    await server.command("REPLICAOF", "127.0.0.1", 1)
    limiter = limiter_on(client)
    verdicts = [await limiter.admit(ACME, Cost(1, 1)) for _ in range(5)]
    assert [verdict.admitted for verdict in verdicts] == [True] * 3 + [False] * 2


async def test_a_key_that_is_not_ours_is_decided_by_policy(client: RedisClient) -> None:
    limiter = limiter_on(client, OutagePolicy.DENY)
    await client.execute("LPUSH", "headgate:limit:default:{acme}", "foreign")
    assert await limiter.admit(ACME, Cost(1, 1)) == Verdict(admitted=False, retry_after=1)


async def test_cancelled_callers_do_no_harm(client: RedisClient) -> None:
    """Fault 11: the others get their own verdicts."""
    limiter = limiter_on(client, tiers={"default": Tier(10_000, 10_000, 1)})
    asking = [asyncio.create_task(limiter.admit(Caller(str(number)), Cost(number, 1))) for number in range(1, 400)]
    await asyncio.sleep(0)
    for task in asking[::2]:
        task.cancel()
    verdicts = await asyncio.gather(*asking, return_exceptions=True)
    for number, verdict in enumerate(verdicts, start=1):
        if isinstance(verdict, Verdict):
            assert verdict.requests is not None
            assert verdict.requests.remaining in {10_000 - number, 10_000 - number + 1}
    assert sum(isinstance(verdict, Verdict) for verdict in verdicts) == 199
