"""The limiter on Redis with leases: what a busy caller will need is debited in advance, and spent here (L3)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.memory.gcra import MINUTE, SECOND
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.limiter import CALLERS_GAUGE, MAX_CALLERS, RedisLimiter
from adapters.redis.limits import Limits, Missing
from domain.model import Caller, Cost, OutagePolicy, Tier, Verdict
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where

LEASE_SECONDS = 1.0
"""Nothing is spent that was debited longer ago, and what is not spent goes back when as much again has passed."""
_LIFE = round(LEASE_SECONDS * SECOND)
GRANTED = 2
"""What the script says when it has debited the lease, too."""
TOGETHER = 256
"""So many leases are given back at once."""


@dataclass(slots=True)
class _Lease:
    """What a caller may yet spend here; nothing, for one that was seen once. Times are nanoseconds, monotonic."""

    requests: int
    tokens: int
    missing: Missing
    """In the caller's buckets when they were last heard of, as if only what was spent of the lease had been debited."""
    heard: int
    until: int

    def spend(self, limits: Limits, cost: Cost, now: int) -> Verdict | None:
        """The verdict on a cost that is taken from the lease: both, requests and tokens, or None."""
        if now >= self.until or not 0 < cost.requests <= self.requests or cost.tokens > self.tokens:
            return None
        self.requests -= cost.requests
        self.tokens -= cost.tokens
        requests, tokens = self.missing
        self.missing = Missing(requests + cost.requests * MINUTE, tokens + cost.tokens * MINUTE)
        return limits.verdict(self.missing, now - self.heard, cost, admitted=True)


class LeasingLimiter(RedisLimiter):
    """As `RedisLimiter`; a caller's second charge within a lease's life takes `calls` times its cost beyond it, if both
    buckets have room, and that many calls like it are admitted without a round trip.

    A lease is handed in with the next charge that it does not hold, and given back when its life is over, before
    overuse makes debts, and by `aclose`. Lost, and debited all the same, is that of a process that dies, and the one
    that is handed in with a charge whose fate is not known. While Redis does not serve, a lease is spent to the end of
    its life, and then the policy decides.

    A sweep with a defect is reported, and the next lease starts another: what was not given back is lost, and bounded.
    """

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        tiers: Mapping[str, Tier],
        policy: OutagePolicy,
        replicas: int,
        calls: int,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._wall = Wall(defects, Where.LIMITER)
        super().__init__(client, clock, tiers, policy, replicas)
        self._calls = calls
        self._leases: dict[Caller, _Lease] = {}
        self._asking = set[Caller]()
        self._sweeping: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None

    async def admit(self, caller: Caller, cost: Cost) -> Verdict:
        """At most one round trip; none for what the lease holds."""
        limits = self._limits[caller.tier]
        now = self._now()
        lease = self._leases.get(caller)
        spent = self._spend(caller, limits, cost, now)
        if spent is not None:
            return spent
        refused = self._refusals.refuse(caller, limits, cost, now)
        if refused is not None:
            return refused
        if lease is not None and caller not in self._asking:
            return await self._admit_asking(caller, limits, cost, lease, now)
        try:
            taken, missing = await self._charge(caller, limits, cost)
        except RedisClientError:
            self._refusals.forget(caller)
            return await self._decide_alone(caller, limits, cost)
        if taken:
            self._mark(caller, missing, now)
        else:
            spent = self._spend(caller, limits, cost, self._now())  # of a lease that came in the meantime
            if spent is not None:
                return spent
        return self._heard(caller, limits, cost, missing, now, admitted=taken > 0)

    async def _admit_asking(self, caller: Caller, limits: Limits, cost: Cost, lease: _Lease, now: int) -> Verdict:
        """Hands the lease in and asks for another: one call at a time does, so that a caller has one at most."""
        more = Cost(
            min(cost.requests * self._calls, limits.requests.limit + 1),
            min(cost.tokens * self._calls, limits.tokens.limit + 1),
        )
        self._asking.add(caller)
        del self._leases[caller]
        try:
            taken, missing = await self._charge(caller, limits, cost, (*more, lease.requests, lease.tokens))
        except RedisClientError as error:
            if not error.maybe_executed:
                self._leases[caller] = lease
            self._refusals.forget(caller)
            return await self._decide_alone(caller, limits, cost)
        finally:
            self._asking.discard(caller)
        if not taken:
            self._leases[caller] = lease
            return self._heard(caller, limits, cost, missing, now, admitted=False)
        if caller in self._refusals:
            self._refusals.put(caller, missing, now, self._now())
        if taken != GRANTED:
            more = Cost(0, 0)
        owed = Missing(missing.requests - more.requests * MINUTE, missing.tokens - more.tokens * MINUTE)
        self._leases[caller] = _Lease(*more, owed, self._now(), now + _LIFE)
        self._sweep_soon()
        return limits.verdict(owed, 0, cost, admitted=True)

    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """As without leases; but who has used more than there was has no lease to spend while it is in debt."""
        lease = self._leases.get(caller)
        if lease is not None and used > reserved:
            requests, tokens = lease.missing
            lease.missing = Missing(requests, tokens + (used - reserved) * MINUTE)
            if lease.missing.tokens > self._limits[caller.tier].tokens.limit * MINUTE:
                await self._give_back([caller])
        await super().settle(caller, reserved, used)

    async def aclose(self) -> None:
        """Gives all leases back."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        if self._returning is not None:
            await self._returning
        await self._give_back(list(self._leases))

    def _spend(self, caller: Caller, limits: Limits, cost: Cost, now: int) -> Verdict | None:
        lease = self._leases.get(caller)
        verdict = None if lease is None else lease.spend(limits, cost, now)
        if verdict is not None:
            self._refusals.forget(caller)  # it counted with what is spent now
        return verdict

    def _mark(self, caller: Caller, missing: Missing, sent: int) -> None:
        """Its next charge, if it comes soon, asks for a lease."""
        if caller not in self._leases and len(self._leases) < MAX_CALLERS:
            self._leases[caller] = _Lease(0, 0, missing, sent, sent + _LIFE)
            self._sweep_soon()

    def _sweep_soon(self) -> None:
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep(), name="limiter leases")

    async def _sweep(self) -> None:
        """Gives back what was not spent, until there is nothing more."""
        with self._wall:
            while self._leases:
                await self._clock.sleep(LEASE_SECONDS)
                now = self._now()
                over = [caller for caller, lease in self._leases.items() if lease.until <= now]
                self._returning = asyncio.create_task(self._give_back(over), name="limiter leases")
                await asyncio.shield(self._returning)  # `aclose` ends this task, and waits for that one

    async def _give_back(self, callers: Sequence[Caller]) -> None:
        for first in range(0, len(callers), TOGETHER):
            some = callers[first : first + TOGETHER]
            leases = [(caller, self._leases.pop(caller)) for caller in some if caller in self._leases]
            owed = [(caller, lease) for caller, lease in leases if lease.requests or lease.tokens]
            await asyncio.gather(*(self._correct(caller, -lease.requests, -lease.tokens) for caller, lease in owed))
            for caller, _ in owed:
                self._refusals.forget(caller)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """Callers with a lease count, too."""
        readings = super().occupancy()
        known = readings[CALLERS_GAUGE]
        return {**readings, CALLERS_GAUGE: lambda: known() + len(self._leases)}
