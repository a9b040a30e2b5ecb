"""What a process knows of one breaker, and how Redis keeps it: one line of text, times in Redis's milliseconds.

generation closed until objected-until openings failures since reason
"""

from dataclasses import dataclass

from domain.model import BreakerState

CLOSED_SECONDS = 3600.0
"""How long a closed breaker is remembered: longer than any call that was admitted before it opened."""


@dataclass(slots=True)
class BreakerEntry:
    """One breaker. A closed one is kept too, so that it can be told from one that Redis has lost (B6).

    Its `state.open_until` is then the time at which it may be forgotten.
    """

    state: BreakerState
    closed: bool
    own: bool
    """It was opened by calls of this process: nobody here can vouch for the target."""
    objected_until: float = 0.0
    """Until then the target does well elsewhere, monotonic seconds."""
    unheard: bool = False
    """Redis has yet to be told."""
    new: bool = False
    """An opening that Redis has never heard of."""
    opened_at: float = 0.0
    """When that was; monotonic seconds."""
    restored: bool = False
    """Redis knew it and has lost it."""

    @property
    def rank(self) -> tuple[int, bool]:
        """What is higher came later."""
        return self.state.generation, self.closed

    @property
    def rest(self) -> str:
        """What Redis only keeps."""
        state = self.state
        return f"{state.openings} {state.failures} {state.since:.3f} {state.reason}"


def decode_entry(line: bytes, redis_ms: int, now: float) -> BreakerEntry | None:
    """The entry; None if it is no line of ours. `redis_ms` and `now` are one moment: Redis's time and monotonic."""
    try:
        generation, closed, until, objected, openings, failures, since, reason = line.decode().split(" ", 7)
        return BreakerEntry(
            BreakerState(
                now + (int(until) - redis_ms) / 1000,
                int(generation),
                int(openings),
                reason,
                int(failures),
                float(since),
            ),
            closed == "1",
            own=False,
            objected_until=now + (int(objected) - redis_ms) / 1000,
        )
    except ValueError:
        return None
