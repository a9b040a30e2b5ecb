"""The limiter on Redis: one decision for the whole fleet, on the time of Redis."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from adapters.memory.gcra import MINUTE, SECOND
from adapters.memory.limiter import MemoryLimiter
from adapters.redis.client import RedisClient
from adapters.redis.deny_cache import DenyCache
from adapters.redis.errors import RedisClientError
from adapters.redis.limits import Limits, Missing
from adapters.redis.resp import Reply
from adapters.redis.script import Script
from domain.model import Caller, Cost, OutagePolicy, Tier, Verdict
from domain.tiers import ByTier
from ports.clock import Clock
from ports.limiter import Limiter
from ports.occupancy import Occupancy

DECISION_SECONDS = 0.04
"""L5: with what the client's deadlines may be late and a decision by policy, 50 ms."""
SETTLE_ATTEMPTS = 3
OPERATION_MS = 10_000
"""How long Redis remembers that a settlement was done: longer than all its attempts."""
PART = MINUTE // 60_000_000
"""What the script counts as one part of a unit, in the units of `Gcra`."""
UNKNOWN_SECONDS = 1
"""Retry-After of what is refused only because Redis is away: it looks for Redis once a second too."""
MAX_CALLERS = 10_000
MAX_DIFFERENCE = 10**12
CALLERS_GAUGE = "headgate_limiter_callers"

CHARGE = Script("limiter_charge")

__all__ = ["OutagePolicy", "RedisLimiter"]


def divided(tier: Tier, replicas: int) -> Tier:
    """One replica's part of a tier's rates, at least 1 of each."""
    return replace(
        tier,
        requests_per_minute=max(1, tier.requests_per_minute // replicas),
        tokens_per_minute=max(1, tier.tokens_per_minute // replicas),
    )


class RedisLimiter(Limiter, Occupancy):
    """Two GCRA limits a caller, by its tier (`tiers` names each that callers have), decided by one script in one step.

    The clock of this process counts how fresh a refusal is, and nothing else. While Redis does not serve, `policy`
    decides; `replicas` is how many share the limits then.

    A charge is sent once: where its fate is not known (`maybe_executed`) the policy decides, and the charge may stand,
    once, so that too much is never admitted. A settlement has an operation id and is tried again.
    """

    def __init__(
        self, client: RedisClient, clock: Clock, tiers: Mapping[str, Tier], policy: OutagePolicy, replicas: int
    ) -> None:
        self._client = client
        self._clock = clock
        self._limits = ByTier((name, Limits.of(tier)) for name, tier in tiers.items())
        self._policy = policy
        self._share = MemoryLimiter(clock, {name: divided(tier, replicas) for name, tier in tiers.items()})
        self._refusals = DenyCache(MAX_CALLERS)
        # How many calls of a caller with that many tokens reserved were admitted without Redis and are not settled.
        self._apart: dict[tuple[Caller, int], int] = {}
        self._decided_alone = 0

    async def admit(self, caller: Caller, cost: Cost) -> Verdict:
        """Both limits have to have room (L1); a refusal changes nothing (L2). At most one round trip."""
        limits = self._limits[caller.tier]
        sent = self._now()
        refused = self._refusals.refuse(caller, limits, cost, sent)
        if refused is not None:
            return refused
        try:
            taken, missing = await self._charge(caller, limits, cost)
        except RedisClientError:
            self._refusals.forget(caller)
            return await self._decide_alone(caller, limits, cost)
        return self._heard(caller, limits, cost, missing, sent, admitted=taken > 0)

    def _heard(
        self, caller: Caller, limits: Limits, cost: Cost, missing: Missing, sent: int, *, admitted: bool
    ) -> Verdict:
        """The verdict on a cost, of which Redis was asked at `sent`; a refusal is remembered."""
        if not admitted or caller in self._refusals:
            self._refusals.put(caller, missing, sent, self._now())
        return limits.verdict(missing, 0, cost, admitted=admitted)

    async def _charge(
        self, caller: Caller, limits: Limits, cost: Cost, lease: Sequence[int] = ()
    ) -> tuple[int, Missing]:
        """What the script says of the cost, and of a `lease`, if one is asked for. Raises `RedisClientError`."""
        requests, tokens = limits.requests.limit, limits.tokens.limit
        # Too much is too much: beyond that, a number need not be exact in Lua.
        args = (requests, min(cost.requests, requests + 1), tokens, min(cost.tokens, tokens + 1), *lease)
        return _decoded(await self._client.evalsha(CHARGE, (_key(caller),), args, timeout=DECISION_SECONDS))

    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """Gives back what was not used, or charges what was used beyond (L4), where the call was charged."""
        if self._was_apart(caller, reserved):
            if self._policy is OutagePolicy.SHARE:
                await self._share.settle(caller, reserved, used)
        elif used != reserved:
            difference = max(-MAX_DIFFERENCE, min(used - reserved, MAX_DIFFERENCE))
            settled = await self._correct(caller, 0, difference)
            self._refusals.forget(caller)
            if difference > 0 and not settled:
                await self._share.settle(caller, reserved, used)

    async def refund(self, caller: Caller, cost: Cost) -> None:
        """Gives all of it back (L2), where the call was charged."""
        if self._was_apart(caller, cost.tokens):
            if self._policy is OutagePolicy.SHARE:
                await self._share.refund(caller, cost)
        else:
            await self._correct(caller, -min(cost.requests, MAX_DIFFERENCE), -min(cost.tokens, MAX_DIFFERENCE))
            self._refusals.forget(caller)

    async def _correct(self, caller: Caller, requests: int, tokens: int) -> bool:
        """Whether Redis has it, or may have it."""
        limits = self._limits[caller.tier]
        keys = (_key(caller), f"headgate:settled:{{{caller.tenant}}}:{secrets.token_hex(8)}")
        args = (limits.requests.limit, requests, limits.tokens.limit, tokens, OPERATION_MS)
        maybe = False
        for _ in range(SETTLE_ATTEMPTS):
            try:
                await self._client.evalsha(CHARGE, keys, args)
            except RedisClientError as error:
                if not error.maybe_executed:
                    return maybe
                maybe = True
            else:
                return True
        return maybe

    async def _decide_alone(self, caller: Caller, limits: Limits, cost: Cost) -> Verdict:
        if not limits.hold(cost):
            return Verdict(admitted=False)
        self._decided_alone += 1
        match self._policy:
            case OutagePolicy.ALLOW:
                verdict = Verdict(admitted=True)
            case OutagePolicy.DENY:
                verdict = Verdict(admitted=False, retry_after=UNKNOWN_SECONDS)
            case OutagePolicy.SHARE:
                verdict = await self._share.admit(caller, cost)
                if not verdict.admitted and verdict.retry_after is None:  # more than a part, and yet not too much
                    verdict = verdict._replace(retry_after=UNKNOWN_SECONDS)
        if verdict.admitted and cost.tokens:
            self._keep_apart(caller, cost.tokens)
        return verdict

    def _keep_apart(self, caller: Caller, reserved: int) -> None:
        """Its settlement is none of Redis's business."""
        count = self._apart.pop((caller, reserved), 0)
        if len(self._apart) >= MAX_CALLERS:
            del self._apart[next(iter(self._apart))]
        self._apart[caller, reserved] = count + 1

    def _was_apart(self, caller: Caller, reserved: int) -> bool:
        """Of two calls that reserved as much it does not matter which is which."""
        count = self._apart.pop((caller, reserved), 0)
        if count > 1:
            self._apart[caller, reserved] = count - 1
        return count > 0

    def _now(self) -> int:
        return round(self._clock.monotonic() * SECOND)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is: callers that were refused of late, or charged here while Redis was away. And how often that
        was."""
        (share,) = self._share.occupancy().values()
        return {
            CALLERS_GAUGE: lambda: len(self._refusals) + share(),
            "headgate_limiter_decided_alone": lambda: self._decided_alone,
        }


def _key(caller: Caller) -> str:
    return f"headgate:limit:{caller.tier}:{{{caller.tenant}}}"


def _decoded(reply: Reply) -> tuple[int, Missing]:
    match reply:
        case [int(taken), int(whole_r), int(part_r), int(whole_t), int(part_t)]:
            return taken, Missing(whole_r * MINUTE + part_r * PART, whole_t * MINUTE + part_t * PART)
        case _:
            raise AssertionError("the script gives five numbers")
