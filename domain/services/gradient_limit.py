"""How many calls at once a target answers well: a limit that is learned from times to the first event.

Source: Gradient2Limit of Netflix's concurrency-limits (github.com/Netflix/concurrency-limits): the limit follows the
ratio of the long-term to the newest time, with room for a small queue. Not TCP Vegas, whose base is the shortest time
ever seen: a short prompt would set a bar that no long one reaches. Of our own: times that are above the tolerance
count a tenth in the average, or load that lasts would become the measure of itself. What is lost (a silent provider, a
429) halves the limit, as in Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988.
"""

import math

TOLERANCE = 1.5
"""Times up to so much above the long-term average are as good as the average."""
SMOOTHING = 0.2
WARM_UP, WINDOW = 10, 600
"""Samples: so many are averaged evenly at first, and later ones with the weight of a window."""
SLOW_WEIGHT = 0.1
"""Of a time above the tolerance."""
RECOVERY = 0.95
"""By how much the average falls with a time below half of it: load that lasted has spoilt it."""


class GradientLimit:
    """From 1 to `most`. Times are seconds."""

    __slots__ = ("_average", "_limit", "_lost_at", "_most", "_samples")

    def __init__(self, most: int, initial: int = 10) -> None:
        self._most = most
        self._limit = float(min(initial, most))
        self._average = 0.0
        self._samples = 0
        self._lost_at = -math.inf

    @property
    def value(self) -> int:
        """Calls at once."""
        return int(self._limit)

    def sample(self, seconds: float, in_use: int) -> None:
        """The first event of a call came after so long, when so many calls were out."""
        seconds = max(seconds, 1e-6)
        self._samples += 1
        if self._samples <= WARM_UP:
            self._average += (seconds - self._average) / self._samples
            return
        slow = seconds > TOLERANCE * self._average
        self._average += (seconds - self._average) * 2 / (WINDOW + 1) * (SLOW_WEIGHT if slow else 1.0)
        if self._average > 2 * seconds:
            self._average *= RECOVERY
        if in_use < self._limit / 2:  # then the limit had no part in it
            return
        gradient = max(0.5, min(1.0, TOLERANCE * self._average / seconds))
        wanted = self._limit * gradient + math.sqrt(self._limit)
        self._limit = max(1.0, min(float(self._most), self._limit + (wanted - self._limit) * SMOOTHING))

    def lose(self, began: float, now: float) -> None:
        """A call that began at `began` was lost to load. What began before the last loss says nothing new."""
        if began >= self._lost_at:
            self._limit = max(1.0, self._limit / 2)
            self._lost_at = now
