"""How long one call of a provider may be silent: moves the alarm that ends it (R2)."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from domain.services.sweeper import Alarm, Sweeper, Timeout
from domain.services.timeouts import SIGNS_OF_LIFE, StreamTimeouts
from ports.clock import Clock

LINGER_SECONDS = 1.0
"""After the finish reason only usage and an end mark can follow; who sends neither is not waited for (R5)."""


class Silence:
    """A context manager that raises `TimeoutError` in its task once the provider was silent for too long.

    With another target that could answer, the limit of the first event is `limits.first_event`, whatever signs of life
    the provider gives; whether one could is asked as the call begins and at that limit. Else it is
    `limits.first_event_last`, from then on for good.

    The probe of a breaker is leased for its limit: signs of life do not move it (B3).

    The path of each event writes `alarm.at` and `since` itself: a call would cost more than the rest of it.
    """

    __slots__ = (
        "_clock", "_first", "_fixed", "_limit", "_limits", "_others", "_sweeper", "_timeout", "alarm", "finished",
        "since",
    )  # fmt: skip

    def __init__(
        self, clock: Clock, sweeper: Sweeper, limits: StreamTimeouts, others: Callable[[], bool], *, probe: bool
    ) -> None:
        """`others` tells whether another target could answer, `probe` whether the call probes a breaker."""
        self._clock = clock
        self._sweeper = sweeper
        self._limits = limits
        self._others = others
        self._fixed = probe
        self.finished = False
        """The answer has its finish reason, so that nothing moves its end."""

    def __enter__(self) -> Self:
        limits = self._limits
        self.since = self._clock.monotonic()
        """When the call began, or the last event came; monotonic seconds."""
        self._limit = limits.first_event_last
        others = self._others()
        self._timeout: Timeout = self._sweeper.timeout(
            max(limits.first_event, limits.first_event_last) if others else limits.first_event_last
        )
        self.alarm: Alarm = self._timeout.alarm
        self._first = self._sweeper.alarm(limits.first_event, self._look) if others else None
        self._timeout.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._first is not None:
            self._first.cancel()
        self._timeout.__exit__(kind, error, trace)

    def begun(self) -> None:
        """The first event is here: the idle limit counts from now on."""
        self._limit = self._limits.idle
        self._fixed = False
        if self._first is not None:
            self._first.cancel()

    def finish(self, now: float) -> None:
        """The answer has its finish reason: what may still follow has its own short time, which nothing moves."""
        if not self.finished:
            self.finished = True
            self.alarm.at = now + LINGER_SECONDS

    def alive(self) -> None:
        """A sign of life that is no event: any byte of the provider's."""
        if not (self.finished or self._fixed):
            longest = self.since + SIGNS_OF_LIFE * self._limits.idle
            self.alarm.at = max(self.alarm.at, min(self._clock.monotonic() + self._limit, longest))

    def _look(self) -> None:
        """At the limit of the first event: another target is asked now, if there is one that could answer."""
        if self._others():
            self.alarm.at = self._clock.monotonic()
