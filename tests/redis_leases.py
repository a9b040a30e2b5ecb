"""Leasing limiters on one Redis whose time stands still, and how much it was debited."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fractions import Fraction

from fakeredis import FakeServer
from fakeredis.aioredis import FakeRedis

from adapters.memory.manual_clock import ManualClock
from adapters.redis.client import HOT_SECONDS
from adapters.redis.errors import RedisUnavailableError
from adapters.redis.limiter import CHARGE, OutagePolicy
from adapters.redis.limiter_lease import LeasingLimiter
from adapters.redis.resp import Argument, Reply
from adapters.redis.script import Script
from domain.model import Caller, Tier
from tests.contracts.redis_time import START_US, StillRedisClient
from tests.redis_cases import unheard, untimed

ACME = Caller("acme")
CALLS = 9
TIERS = {"default": Tier(600, 60_000, 1)}
STATE = "headgate:limit:default:{acme}"
SLOW = Tier(60, 300, 1)
"""So little comes back in a lease's life that a bucket is never full."""
MINUTE_US = 60_000_000
ASKING = 8
"""So many arguments has a charge that asks for a lease."""


class WatchedClient(StillRedisClient):
    """Sums up what ACME's buckets were debited, less what was given back, by their state before and after a script."""

    tier = TIERS["default"]
    down = False
    charges = 0
    late: asyncio.Event | None = None
    """The reply to the next charge that asks for a lease comes no sooner."""
    losing = 0
    """So many of the next charges and corrections are done, and nobody hears of it."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.debited = [Fraction(), Fraction()]
        self.alone = asyncio.Lock()

    async def missing(self) -> list[Fraction]:
        """Of requests and tokens, now."""
        text = await self.execute("GET", STATE)
        if text is None:
            return [Fraction(), Fraction()]
        assert isinstance(text, bytes)
        at, whole_r, part_r, whole_t, part_t = map(int, text.split())
        limits = (self.tier.requests_per_minute, self.tier.tokens_per_minute)
        levels = (whole_r + Fraction(part_r, MINUTE_US), whole_t + Fraction(part_t, MINUTE_US))
        back = Fraction(max(0, self.now_us - at), MINUTE_US)
        return [max(Fraction(), level - limit * back) for limit, level in zip(limits, levels, strict=True)]

    async def evalsha(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Argument] = (),
        *,
        timeout: float = HOT_SECONDS,
        read: bool = False,
    ) -> Reply:
        if script is not CHARGE:
            return await super().evalsha(script, keys, args, timeout=timeout, read=read)
        async with self.alone:
            reply = await self.charged(script, keys, args, timeout, read=read)
        if self.late is not None and len(args) == ASKING:
            late, self.late = self.late, None
            await late.wait()
        return reply

    async def charged(
        self, script: Script, keys: Sequence[str | bytes], args: Sequence[Argument], timeout: float, *, read: bool
    ) -> Reply:
        if self.down:
            raise RedisUnavailableError("CONNECTION", maybe_executed=False)
        self.charges += 1
        before = await self.missing()
        reply = await super().evalsha(script, keys, args, timeout=timeout, read=read)
        after = await self.missing()
        self.debited = [known + now - then for known, now, then in zip(self.debited, after, before, strict=True)]
        if self.losing:
            self.losing -= 1
            raise RedisUnavailableError("CONNECTION", maybe_executed=True)
        return reply


class Fleet:
    """So many processes on one Redis."""

    def __init__(self, client: WatchedClient, count: int, tier: Tier, calls: int, policy: OutagePolicy) -> None:
        self.client = client
        self.clock = ManualClock()
        self.limiters = [
            LeasingLimiter(client, self.clock, {"default": tier}, policy, count, calls) for _ in range(count)
        ]

    async def advance(self, seconds: float) -> None:
        await self.client.advance(seconds)
        await self.clock.advance(seconds)
        for limiter in self.limiters:
            if limiter._returning is not None:
                await limiter._returning


@asynccontextmanager
async def fleet(
    count: int = 1, tier: Tier = TIERS["default"], calls: int = CALLS, policy: OutagePolicy = OutagePolicy.DENY
) -> AsyncIterator[Fleet]:
    connect = FakeRedis(server=FakeServer(), protocol=2).connection_pool.make_connection
    client = WatchedClient(connect, untimed, unheard, pool_min=0)
    client.tier = tier
    await client.start()
    try:
        await client.set_time(START_US)
        opened = Fleet(client, count, tier, calls, policy)
        yield opened
        for limiter in opened.limiters:
            await limiter.aclose()
    finally:
        await client.aclose()


def outstanding(fleet: Fleet) -> tuple[int, int]:
    leases = [lease for limiter in fleet.limiters for lease in limiter._leases.values()]
    return sum(lease.requests for lease in leases), sum(lease.tokens for lease in leases)
