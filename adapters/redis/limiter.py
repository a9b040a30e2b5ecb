"""The limiter on Redis: exact over the fleet, on Redis's time (L1-L5)."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace

from adapters.memory.gcra import SECOND, Gcra
from adapters.memory.limiter import MemoryLimiter
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.script import Script
from domain.model import Caller, Cost, OutagePolicy, Tier, Verdict
from ports.clock import Clock
from ports.limiter import Limiter
from ports.occupancy import Occupancy

KEY = "headgate:limits:"
MICROSECOND = 1_000
"""Nanoseconds."""
DECISION_SECONDS = 0.05
MAX_DENIED = 10_000
"""Callers whose refusal is remembered here; the one that was refused longest ago is forgotten first."""

ADMIT, SETTLE = Script("limiter_admit"), Script("limiter_settle")


class RedisLimiter(Limiter, Occupancy):
    """Two limits a caller, by its tier (`tiers` names each that callers have); the burst is a minute's worth.

    After a refusal the process refuses by itself, by what Redis said, until the call would pass; it admits nothing
    (L3). While Redis is away
    `outage` decides (L5): `share` gives this process its `shares`-th part of each limit. A call whose decision is not
    known, since its reply was lost, is decided the same way, and may have been charged in Redis besides.
    """

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        tiers: Mapping[str, Tier],
        *,
        outage: OutagePolicy = OutagePolicy.SHARE,
        shares: int = 2,
    ) -> None:
        self._client = client
        self._clock = clock
        self._tiers = tiers
        self._outage = outage
        self._alone = MemoryLimiter(clock, {name: _part(tier, shares) for name, tier in tiers.items()})
        self._limits = {
            name: (Gcra(tier.requests_per_minute), Gcra(tier.tokens_per_minute)) for name, tier in tiers.items()
        }
        # Of those who were refused: when their buckets are full again (`adapters.memory.gcra`), on this process's time.
        self._denied: OrderedDict[Caller, tuple[int, int]] = OrderedDict()

    async def admit(self, caller: Caller, cost: Cost) -> Verdict:
        """One round trip, or none for who was refused a moment ago."""
        buckets = self._denied.get(caller)
        if buckets is not None:
            verdict = self._verdict(caller, cost, buckets, admitted=False)
            if verdict.retry_after:
                return verdict
        tier = self._tiers[caller.tier]
        args = (tier.requests_per_minute, tier.tokens_per_minute, cost.requests, cost.tokens)
        try:
            reply = await self._client.evalsha(ADMIT, (_key(caller),), args, timeout=DECISION_SECONDS)
        except RedisClientError:
            return await self._decide_alone(caller, cost)
        admitted, *levels = (int(number) for number in reply)  # type: ignore[arg-type, union-attr]
        now = self._now()
        limits = self._limits[caller.tier]
        buckets = (
            now * limits[0].limit + levels[0] * levels[1] * MICROSECOND,
            now * limits[1].limit + levels[2] * levels[3] * MICROSECOND,
        )
        if admitted:
            self._denied.pop(caller, None)
        else:
            self._remember(caller, buckets)
        return self._verdict(caller, cost, buckets, admitted=bool(admitted))

    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """One correction; a lost one costs the caller what it had reserved until that has drained."""
        if used == reserved:
            return
        self._denied.pop(caller, None)
        tier = self._tiers[caller.tier]
        args = (tier.requests_per_minute, tier.tokens_per_minute, used - reserved)
        try:
            await self._client.evalsha(SETTLE, (_key(caller),), args)
        except RedisClientError:
            await self._alone.settle(caller, reserved, used)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How many refusals are remembered."""
        return {"headgate_limiter_callers": self._denied.__len__}

    def _verdict(self, caller: Caller, cost: Cost, buckets: tuple[int, int], *, admitted: bool) -> Verdict:
        """How both limits stand now, by what Redis said of them a moment ago."""
        now = self._now()
        requests, tokens = self._limits[caller.tier]
        retry_after = None
        if not admitted and cost.requests <= requests.limit and cost.tokens <= tokens.limit:
            retry_after = max(requests.wait(buckets[0], now, cost.requests), tokens.wait(buckets[1], now, cost.tokens))
        return Verdict(admitted, requests.quota(buckets[0], now), tokens.quota(buckets[1], now), retry_after)

    def _remember(self, caller: Caller, buckets: tuple[int, int]) -> None:
        self._denied[caller] = buckets
        self._denied.move_to_end(caller)
        if len(self._denied) > MAX_DENIED:
            self._denied.popitem(last=False)

    def _now(self) -> int:
        return round(self._clock.monotonic() * SECOND)

    async def _decide_alone(self, caller: Caller, cost: Cost) -> Verdict:
        if self._outage is OutagePolicy.ALLOW:
            return Verdict(admitted=True)
        if self._outage is OutagePolicy.DENY:
            return Verdict(admitted=False, retry_after=1)
        return await self._alone.admit(caller, cost)


def _key(caller: Caller) -> str:
    return f"{KEY}{caller.tier}:{caller.tenant}"


def _part(tier: Tier, shares: int) -> Tier:
    return replace(
        tier,
        requests_per_minute=max(1, tier.requests_per_minute // shares),
        tokens_per_minute=max(1, tier.tokens_per_minute // shares),
    )
