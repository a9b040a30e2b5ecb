"""Circuit breakers: a pure state machine for one target, and the service that asks the fleet's board.

The pattern is Nygard's (Release It!, 2007). A breaker is closed; too many failures within a window open it; after a
cooldown one probe decides whether it closes or opens again for twice as long.
"""

from collections import deque
from dataclasses import dataclass

from domain.model import BreakerState
from ports.breaker_board import BreakerBoard
from ports.clock import Clock

MAX_TARGETS = 10_000
"""Callers may name any model of a provider: the oldest count is forgotten first."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long (seconds)."""

    failure_threshold: int = 5
    window: float = 60.0
    recovery_timeout: float = 60.0
    max_recovery_timeout: float = 600.0


class CircuitBreaker:
    """What one process knows of one target's failures. Pure: time is passed in, nothing is awaited."""

    __slots__ = ("_failures", "_policy")

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._failures: deque[float] = deque(maxlen=policy.failure_threshold)

    def succeeded(self) -> None:
        """Forgets the failures."""
        self._failures.clear()

    def failed(self, now: float, state: BreakerState | None, least: float = 0.0) -> BreakerState | None:
        """Counts a failure; the state to publish if the breaker opens by it.

        `state` is the open state under which the failed call went out (it was a probe), or None if it was closed;
        `least` is the least cooldown, from the provider's Retry-After.
        """
        policy = self._policy
        if state is not None:
            cooldown = min(policy.recovery_timeout * 2**state.generation, policy.max_recovery_timeout)
            return BreakerState(now + max(cooldown, least), state.generation + 1)
        self._failures.append(now)
        if len(self._failures) < policy.failure_threshold or now - self._failures[0] > policy.window:
            return None
        self._failures.clear()
        return BreakerState(now + max(policy.recovery_timeout, least), 1)


class CircuitBreakers:
    """The breakers of all targets (B0). Closed, a breaker costs a dict look-up and no I/O (B2)."""

    def __init__(self, clock: Clock, board: BreakerBoard, policy: BreakerPolicy, probe_seconds: float) -> None:
        self._clock = clock
        self._board = board
        self._policy = policy
        self._probe_seconds = probe_seconds
        self._breakers: dict[str, CircuitBreaker] = {}

    async def admit(self, target: str, holder: str) -> bool:
        """Whether `holder` may call `target` now: it is closed, or this is its one probe."""
        state = self._board.state(target)
        if state is None:
            return True
        if self._clock.monotonic() < state.open_until:
            return False
        return await self._board.acquire_probe(target, holder, self._probe_seconds)

    async def succeeded(self, target: str, holder: str) -> None:
        """The call was answered: the breaker closes."""
        breaker = self._breakers.get(target)
        if breaker is not None:
            breaker.succeeded()
        if self._board.state(target) is not None:
            await self._board.publish(target, None)
            await self._board.release_probe(target, holder)

    async def failed(self, target: str, holder: str, retry_after: float = 0.0) -> None:
        """The call failed in a way that counts against the target (B5)."""
        breaker = self._breakers.get(target)
        if breaker is None:
            if len(self._breakers) >= MAX_TARGETS:
                del self._breakers[next(iter(self._breakers))]
            breaker = self._breakers[target] = CircuitBreaker(self._policy)
        opened = breaker.failed(self._clock.monotonic(), self._board.state(target), retry_after)
        if opened is not None:
            await self._board.publish(target, opened)
            await self._board.release_probe(target, holder)

    async def abandoned(self, target: str, holder: str) -> None:
        """The call ended without a verdict on the target: cancelled, or refused for what the request is."""
        if self._board.state(target) is not None:
            await self._board.release_probe(target, holder)

    def opens_in(self, targets: list[str]) -> float | None:
        """Seconds until the first of `targets` may be probed; None if one of them is closed."""
        states = [self._board.state(target) for target in targets]
        if not states or None in states:
            return None
        return max(0.0, min(state.open_until for state in states if state) - self._clock.monotonic())
