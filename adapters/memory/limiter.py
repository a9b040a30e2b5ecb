"""The limiter in memory: requests and tokens of each caller, in one decision."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import islice

from adapters.memory.gcra import FULL, SECOND, Gcra
from domain.model import Caller, Cost, Tier, Verdict
from domain.tiers import ByTier
from ports.clock import Clock
from ports.limiter import Limiter
from ports.occupancy import Occupancy

# How many of those who were charged longest ago are looked at for one whose buckets are full again.
CANDIDATES = 16


class MemoryLimiter(Limiter, Occupancy):
    """Two GCRA limits a caller, by its tier (`tiers` names each that callers have); the burst is a minute's worth.

    At most `max_callers` are known. A caller that was not charged for a minute has full buckets again, unless it used
    more than its burst, and forgetting it changes nothing. Only if so many were charged within a minute is one
    forgotten early, and gets its burst again before its time.
    """

    def __init__(self, clock: Clock, tiers: Mapping[str, Tier], max_callers: int = 100_000) -> None:
        self._clock = clock
        self._limits = ByTier(
            (name, (Gcra(tier.requests_per_minute), Gcra(tier.tokens_per_minute))) for name, tier in tiers.items()
        )
        self._max_callers = max_callers
        # The TATs of requests and tokens; the caller that was charged longest ago first.
        self._tats: OrderedDict[Caller, tuple[int, int]] = OrderedDict()

    async def admit(self, caller: Caller, cost: Cost) -> Verdict:
        """Both limits have to have room (L1); a refusal changes nothing (L2)."""
        now = self._now()
        requests, tokens = self._limits[caller.tier]
        tats = requests_tat, tokens_tat = self._tats.get(caller, (FULL, FULL))
        requests_after = requests.take(requests_tat, now, cost.requests)
        tokens_after = tokens.take(tokens_tat, now, cost.tokens)
        admitted = requests_after is not None and tokens_after is not None
        retry_after = None
        if requests_after is not None and tokens_after is not None:
            tats = requests_after, tokens_after
            self._store(caller, tats, now)
        elif cost.requests <= requests.limit and cost.tokens <= tokens.limit:
            # At least 1: what does not pass now needs more than no time.
            retry_after = max(
                requests.wait(requests_tat, now, cost.requests), tokens.wait(tokens_tat, now, cost.tokens)
            )
        return Verdict(admitted, requests.quota(tats[0], now), tokens.quota(tats[1], now), retry_after)

    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """Gives back what was not used, or charges what was used beyond (L4)."""
        self._correct(caller, 0, used - reserved)

    async def refund(self, caller: Caller, cost: Cost) -> None:
        """Gives all of it back (L2)."""
        self._correct(caller, -cost.requests, -cost.tokens)

    def _correct(self, caller: Caller, more_requests: int, more_tokens: int) -> None:
        now = self._now()
        requests_tat, tokens_tat = self._tats.get(caller, (FULL, FULL))
        requests, tokens = self._limits[caller.tier]
        tats = requests.correct(requests_tat, now, more_requests), tokens.correct(tokens_tat, now, more_tokens)
        self._store(caller, tats, now)

    def _now(self) -> int:
        return round(self._clock.monotonic() * SECOND)

    def _store(self, caller: Caller, tats: tuple[int, int], now: int) -> None:
        if caller not in self._tats and len(self._tats) >= self._max_callers:
            del self._tats[self._dispensable(now)]
        self._tats[caller] = tats
        self._tats.move_to_end(caller)

    def _dispensable(self, now: int) -> Caller:
        """One whose buckets are full again; if there is none, the one that was charged longest ago."""
        for caller, (requests_tat, tokens_tat) in islice(self._tats.items(), CANDIDATES):
            requests, tokens = self._limits[caller.tier]
            if requests.full(requests_tat, now) and tokens.full(tokens_tat, now):
                return caller
        return next(iter(self._tats))

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {"headgate_limiter_callers": self._tats.__len__}
