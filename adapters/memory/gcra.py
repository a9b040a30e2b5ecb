"""GCRA, the generic cell rate algorithm: one limit of so many units a minute, as arithmetic on one integer.

Source: ITU-T Recommendation I.371 (Traffic control and congestion control in B-ISDN), annex A, "virtual scheduling
algorithm"; equal to a token bucket that holds `limit` and gains `limit` a minute. The whole state is the theoretical
arrival time (TAT): the moment at which the bucket is full again.

Here the TAT is counted in nanoseconds times `limit`. One unit of cost then moves it by MINUTE, whatever the limit: a
whole number, so that no rounding ever admits too much or too little.
"""

from dataclasses import dataclass

from domain.model import Quota

WINDOW = 60
SECOND = 1_000_000_000
MINUTE = WINDOW * SECOND
FULL = 0
"""The TAT of a bucket that was never used."""


@dataclass(frozen=True, slots=True)
class Gcra:
    """A limit of `limit` units a minute; the burst is as much. `now` is in nanoseconds, on any clock that never sets.

    A cost of 0 always passes, also while the bucket is in debt.
    """

    limit: int

    def take(self, tat: int, now: int, cost: int) -> int | None:
        """The TAT after `cost` was taken, or None if there is not enough."""
        after = max(tat, now * self.limit) + cost * MINUTE
        return after if self._excess(after, now) <= 0 or not cost else None

    def wait(self, tat: int, now: int, cost: int) -> int:
        """Whole seconds until a `cost` of at most `limit` passes; 0 if it passes now."""
        if not cost:
            return 0
        excess = self._excess(max(tat, now * self.limit) + cost * MINUTE, now)
        return max(0, -(-excess // (self.limit * SECOND)))

    def correct(self, tat: int, now: int, difference: int) -> int:
        """The TAT after `difference` more was used than taken; a negative one gives back.

        It may lie further ahead than a burst: what was used beyond the limit is paid for by waiting. It may also lie
        in the past, and is then worth no more than a full bucket.
        """
        return max(tat, now * self.limit) + difference * MINUTE

    def full(self, tat: int, now: int) -> bool:
        """Whether nothing is missing in the bucket."""
        return tat <= now * self.limit

    def quota(self, tat: int, now: int) -> Quota:
        """How the limit stands; `remaining` is what the next cost may be."""
        missing = max(0, tat - now * self.limit)
        remaining = max(0, (self.limit * MINUTE - missing) // MINUTE)
        return Quota(self.limit, WINDOW, remaining, missing / (self.limit * SECOND))

    def _excess(self, after: int, now: int) -> int:
        return after - (now * self.limit + self.limit * MINUTE)
