"""The breaker of one target as a pure state machine: what one process counts, and what opens, for how long.

The pattern is Nygard's (Release It!, 2007). Closed, calls are counted in a sliding window; open, the target is shut
out for a cooldown; half-open, one probe closes it or opens it again for twice as long. Nothing here waits, reads a
clock or draws chance: time and chance are passed in.
"""

from dataclasses import dataclass
from enum import StrEnum

from domain.model import OPENED_BY_HAND, BreakerState

BUCKETS = 10
"""The window slides by this part of its length."""
RECENT_BUCKETS = 2
"""What tells how a target does now: the last fifth of the window, at least half of that."""
LONGEST_COOLDOWN = 86_400.0
"""No Retry-After shuts a target out for longer; seconds."""
_MOST_DOUBLINGS = 32


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long (seconds)."""

    failure_threshold: int = 5
    minimum_calls: int = 1
    """Calls within the window, failed or not, without which nothing opens."""
    failure_share: float = 0.5
    """A target of which a smaller part of the calls fails stays closed, unless the last ones failed all in a row."""
    window: float = 60.0
    recovery_timeout: float = 60.0
    max_recovery_timeout: float = 600.0
    jitter: float = 0.1
    """The part of a cooldown that chance may add, so that targets that failed together are not probed together."""

    def opens(self, calls: int, failures: int, in_a_row: int) -> bool:
        """Whether so many calls and failures within the window, and so many at last in a row, open the breaker."""
        enough = failures >= self.failure_threshold and calls >= self.minimum_calls
        return enough and (in_a_row >= self.failure_threshold or failures >= self.failure_share * calls)

    def vouches(self, calls: int, failures: int) -> bool:
        """Whether so many recent calls and failures say that the target is well."""
        return calls > failures and failures < self.failure_share * calls

    def cooldown(self, openings: int, least: float, chance: float) -> float:
        """Seconds after the `openings`-th opening in a row; `least` is the provider's Retry-After, `chance` 0 to 1."""
        longest = max(self.recovery_timeout, self.max_recovery_timeout)
        doubled = self.recovery_timeout * 2.0 ** min(openings - 1, _MOST_DOUBLINGS)
        return max(min(doubled, longest) * (1 + self.jitter * chance), min(least, LONGEST_COOLDOWN))


class Phase(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


def phase(state: BreakerState, now: float) -> Phase:
    """The phase of a breaker that is not closed: half-open is an open one whose cooldown is over."""
    return Phase.OPEN if now < state.open_until else Phase.HALF_OPEN


class CallWindow:
    """Calls and failures of one target over the last `seconds`, in buckets, so that its size is fixed.

    `in_a_row` is how many failed since the last that did not.
    """

    __slots__ = ("_calls", "_failures", "_stamps", "_width", "cleared_at", "in_a_row")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self.clear(float("-inf"))

    def clear(self, now: float) -> None:
        """Forgets what was counted; a call that began before `now` says nothing any more."""
        self.cleared_at = now
        self.in_a_row = 0
        self._stamps = [-1] * BUCKETS
        self._calls = [0] * BUCKETS
        self._failures = [0] * BUCKETS

    def count(self, now: float, *, failed: bool) -> None:
        """Counts the end of a call."""
        stamp = int(now / self._width)
        place = stamp % BUCKETS
        if self._stamps[place] != stamp:
            self._stamps[place] = stamp
            self._calls[place] = self._failures[place] = 0
        self._calls[place] += 1
        self._failures[place] += failed
        self.in_a_row = self.in_a_row + 1 if failed else 0

    def totals(self, now: float, buckets: int = BUCKETS) -> tuple[int, int]:
        """Calls and failures within the last `buckets` buckets, the one that fills now included."""
        oldest = int(now / self._width) - buckets + 1
        places = [place for place, stamp in enumerate(self._stamps) if stamp >= oldest]
        return sum(self._calls[place] for place in places), sum(self._failures[place] for place in places)


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a breaker, and when. Times: monotonic and Unix seconds."""

    now: float
    time: float
    reason: str
    least: float
    """Seconds, from the provider's Retry-After."""
    chance: float
    """From 0 to 1."""

    def first(self, policy: BreakerPolicy, failures: int) -> BreakerState:
        """The state after a closed breaker opens."""
        until = self.now + policy.cooldown(1, self.least, self.chance)
        return BreakerState(until, 1, 1, self.reason, failures, self.time)

    def again(self, policy: BreakerPolicy, state: BreakerState) -> BreakerState:
        """The state after its probe failed."""
        openings = state.openings + 1
        until = self.now + policy.cooldown(openings, self.least, self.chance)
        return BreakerState(until, state.generation + 1, openings, self.reason, state.failures + 1, state.since)

    def by_hand(self, policy: BreakerPolicy, state: BreakerState | None) -> BreakerState:
        """The state after an operator opened it: shut out for the longest cooldown, then probed like any other."""
        until = self.now + policy.cooldown(_MOST_DOUBLINGS, self.least, self.chance)
        if state is None:
            return BreakerState(until, 1, 1, OPENED_BY_HAND, 0, self.time)
        return BreakerState(until, state.generation + 1, state.openings, OPENED_BY_HAND, state.failures, state.since)
