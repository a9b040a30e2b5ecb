"""The two limits of a tier, and the verdict that follows from what is missing in a caller's buckets: no I/O."""

from typing import NamedTuple, Self

from adapters.memory.gcra import Gcra
from domain.model import Cost, Tier, Verdict


class Missing(NamedTuple):
    """What is missing in both buckets at a moment, in the units of `Gcra`: the TATs on a clock that then shows 0."""

    requests: int
    tokens: int


class Limits(NamedTuple):
    """Requests and tokens of one tier. Times since the moment of a `Missing` are nanoseconds."""

    requests: Gcra
    tokens: Gcra

    @classmethod
    def of(cls, tier: Tier) -> Self:
        """Those of a tier."""
        return cls(Gcra(tier.requests_per_minute), Gcra(tier.tokens_per_minute))

    def hold(self, cost: Cost) -> bool:
        """Whether full buckets have that much."""
        return cost.requests <= self.requests.limit and cost.tokens <= self.tokens.limit

    def take(self, missing: Missing, elapsed: int, cost: Cost) -> Missing | None:
        """What is missing, counted from the same moment, after `cost` was taken; None if it does not pass."""
        requests = self.requests.take(missing.requests, elapsed, cost.requests)
        tokens = self.tokens.take(missing.tokens, elapsed, cost.tokens)
        return None if requests is None or tokens is None else Missing(requests, tokens)

    def verdict(self, missing: Missing, elapsed: int, cost: Cost, *, admitted: bool) -> Verdict:
        """The decision on `cost`, with the quotas as they stand and the time after which it passes."""
        retry_after = None
        if not admitted and self.hold(cost):
            # At least 1: what does not pass now needs more than no time.
            retry_after = max(
                self.requests.wait(missing.requests, elapsed, cost.requests),
                self.tokens.wait(missing.tokens, elapsed, cost.tokens),
            )
        return Verdict(
            admitted,
            self.requests.quota(missing.requests, elapsed),
            self.tokens.quota(missing.tokens, elapsed),
            retry_after,
        )
