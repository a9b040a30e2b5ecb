"""The deny-cache: what Redis has just refused is refused again without asking it (L3)."""

from dataclasses import dataclass

from adapters.memory.gcra import SECOND
from adapters.redis.limits import Limits, Missing
from domain.model import Caller, Cost, Verdict

FRESH = SECOND
"""Redis is asked again after that, even if Retry-After is longer: another replica may have given tokens back."""


@dataclass(slots=True)
class _Known:
    missing: Missing
    sent: int
    received: int
    asked: int


class DenyCache:
    """What Redis last said of each of at most `max_callers` that were refused of late.

    It knows what was missing in the buckets, so it lets pass, to be asked of Redis, only what would pass if nobody else
    had taken any since: all that has come back, counted from before Redis was asked, less what was let pass already.
    Times are nanoseconds, monotonic.
    """

    def __init__(self, max_callers: int) -> None:
        self._max_callers = max_callers
        self._known: dict[Caller, _Known] = {}

    def __len__(self) -> int:
        """How many callers were refused of late."""
        return len(self._known)

    def __contains__(self, caller: Caller) -> bool:
        """Whether it knows of a refusal."""
        return caller in self._known

    def put(self, caller: Caller, missing: Missing, sent: int, received: int) -> None:
        """Redis, asked at `sent`, refused or charged, and then so much was missing."""
        self._known.pop(caller, None)
        if len(self._known) >= self._max_callers:
            del self._known[next(iter(self._known))]
        self._known[caller] = _Known(missing, sent, received, received)

    def forget(self, caller: Caller) -> None:
        """What is known of it does not hold any more."""
        self._known.pop(caller, None)

    def refuse(self, caller: Caller, limits: Limits, cost: Cost, now: int) -> Verdict | None:
        """A refusal, where Redis would refuse too; None where it has to be asked."""
        known = self._known.get(caller)
        if known is None:
            return None
        stale = now - known.asked >= FRESH
        after = limits.take(known.missing, now - known.sent, cost)
        if stale and after is not None:
            del self._known[caller]
        elif stale:
            known.asked = now  # by one call: the others wait for what it hears
        elif after is not None:
            known.missing = after
        else:
            # Counted from when the reply came: a little long is right for who waits, short would be refused again.
            return limits.verdict(known.missing, now - known.received, cost, admitted=False)
        return None
