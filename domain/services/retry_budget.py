"""How many retries a process may make: a share of its requests, so that an outage is not amplified (R3)."""

from collections import deque
from dataclasses import dataclass

from ports.clock import Clock

SLICES = 12


@dataclass(slots=True)
class _Slice:
    """What was counted from `start` on, for a part of the window; monotonic seconds."""

    start: float
    requests: int = 0
    retries: int = 0


class RetryBudget:
    """Retries over a sliding window: at most `share` of the requests in it, and `reserve` for low traffic.

    The idea is Finagle's `RetryBudget` (deposits by requests, withdrawals by retries, a minimum beside them); gRPC
    throttles retries likewise (gRFC A6). The window is counted in slices: it is up to a twelfth longer than `window`.
    """

    def __init__(self, clock: Clock, share: float = 0.1, reserve: int = 10, window: float = 60.0) -> None:
        self._clock = clock
        self._share = share
        self._reserve = reserve
        self._window = window
        self._slices: deque[_Slice] = deque()

    def deposit(self) -> None:
        """A request came."""
        self._now().requests += 1

    def withdraw(self) -> bool:
        """Takes one retry. False if there is none left."""
        now = self._now()
        requests = sum(part.requests for part in self._slices)
        retries = sum(part.retries for part in self._slices)
        if retries + 1 > self._reserve + self._share * requests:
            return False
        now.retries += 1
        return True

    def _now(self) -> _Slice:
        """The slice of this moment; what has left the window is forgotten."""
        now = self._clock.monotonic()
        while self._slices and self._slices[0].start <= now - self._window * (1 + 1 / SLICES):
            self._slices.popleft()
        if not self._slices or now - self._slices[-1].start >= self._window / SLICES:
            self._slices.append(_Slice(now))
        return self._slices[-1]
