"""The breakers of all targets: who may call now, and what the end of each call means for the fleet's board."""

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

from domain.model import OPENED_BY_HAND
from domain.services.breaker_state import RECENT_BUCKETS, BreakerPolicy, CallWindow, Opening, Phase, phase
from ports.breaker_board import BreakerBoard
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where

MAX_TARGETS = 10_000
"""Callers may name any model of a provider: the oldest count is forgotten first."""


class _Call(NamedTuple):
    """A call that was admitted: `generation` is that of the open breaker which it probes, 0 if it is no probe."""

    generation: int
    began: float


class BreakerReport(NamedTuple):
    """How the breaker of a target stands. Times are Unix seconds; None while it is closed."""

    target: str
    phase: Phase
    reason: str | None
    failures: int
    since: float | None
    next_probe_at: float | None


class CircuitBreakers:
    """The breakers of all targets (B0). Closed, a breaker costs a few dict look-ups and no I/O (B2).

    Each call is admitted, perhaps answered, and then told as succeeded, failed or abandoned by the same holder, who has
    one call of a target at a time. Its result counts only if the breaker has not opened or closed since. What the board
    raises all the same is reported, and decides nothing about the call: an answer that is there is an answer (B6).
    """

    def __init__(
        self,
        clock: Clock,
        board: BreakerBoard,
        policy: BreakerPolicy,
        probe_seconds: Callable[[str], float],
        chance: Callable[[], float] = random.random,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        """`probe_seconds` of a target are longer than a call of it may take to its first event; `chance` gives a number
        from 0 to 1."""
        self._wall = Wall(defects, Where.BREAKERS)
        self._clock = clock
        self._board = board
        self._policy = policy
        self._probe_seconds = probe_seconds
        self._chance = chance
        self._windows: dict[str, CallWindow] = {}
        self._calls: dict[tuple[str, str], _Call] = {}  # as many as calls that are out: the slots bound them

    async def admit(self, target: str, holder: str) -> bool:
        """Whether `holder` may call `target` now: it is closed, or this is its one probe. A board that cannot tell
        shuts nobody out."""
        with self._wall:
            return await self._admit(target, holder)
        self._calls[target, holder] = _Call(0, self._clock.monotonic())
        return True

    async def _admit(self, target: str, holder: str) -> bool:
        state = self._board.state(target)
        now = self._clock.monotonic()
        if state is None:
            self._calls[target, holder] = _Call(0, now)
            return True
        self._forget(target, now)
        if phase(state, now) is Phase.OPEN:
            return False
        try:
            acquired = await self._board.acquire_probe(target, holder, self._probe_seconds(target))
        except asyncio.CancelledError:
            await self._board.release_probe(target, holder)
            raise
        if not acquired:
            return False
        current = self._board.state(target)
        if current is None or current.generation != state.generation:  # it was probed while we asked
            await self._board.release_probe(target, holder)
            return False
        self._calls[target, holder] = _Call(state.generation, self._clock.monotonic())
        return True

    def probes(self, target: str, holder: str) -> bool:
        """Whether the call of `holder` is the probe."""
        call = self._calls.get((target, holder))
        return call is not None and call.generation != 0

    async def answered(self, target: str, holder: str) -> None:
        """A probe has its first event, which is its verdict: the breaker closes. How its answer ends counts as that of
        any other call."""
        await self.succeeded(target, holder)
        self._calls[target, holder] = _Call(0, self._clock.monotonic())

    async def succeeded(self, target: str, holder: str) -> None:
        """The call was answered: a probe closes the breaker."""
        call = self._calls.pop((target, holder), None)
        if call is None:
            return
        with self._wall:
            if call.generation == 0:
                self._count(target, call, failed=False)
                return
            state = self._board.state(target)
            try:
                if state is not None and state.generation == call.generation:
                    self._forget(target, self._clock.monotonic())
                    await self._board.publish(target, None)
            finally:
                await self._board.release_probe(target, holder)

    async def failed(self, target: str, holder: str, retry_after: float = 0.0, reason: str = "provider_error") -> None:
        """The call failed in a way that counts against the target (B5); `reason` is the code of its error."""
        call = self._calls.pop((target, holder), None)
        if call is None:
            return
        with self._wall:
            state = self._board.state(target)
            opening = self._opening(reason, retry_after)
            if call.generation == 0:
                failures = self._count(target, call, failed=True)
                if failures:
                    self._forget(target, opening.now)
                    await self._board.publish(target, opening.first(self._policy, failures))
                return
            try:
                if state is not None and state.generation == call.generation:
                    await self._board.publish(target, opening.again(self._policy, state))
            finally:
                await self._board.release_probe(target, holder)

    async def abandoned(self, target: str, holder: str) -> None:
        """The call ended without a verdict on the target: cancelled, or refused for what the request is."""
        call = self._calls.pop((target, holder), None)
        if call is not None and call.generation:
            with self._wall:
                await self._board.release_probe(target, holder)

    def shuts_out(self, target: str) -> bool:
        """Whether nobody may call `target` now, not even to probe it."""
        state = self._board.state(target)
        return state is not None and phase(state, self._clock.monotonic()) is Phase.OPEN

    def opens_in(self, targets: list[str]) -> float | None:
        """Seconds until the first of `targets` may be probed; None if one of them is closed."""
        states = [self._board.state(target) for target in targets]
        if not states or None in states:
            return None
        return max(0.0, min(state.open_until for state in states if state) - self._clock.monotonic())

    def vouches(self, target: str) -> bool:
        """Whether the latest calls of `target` here say that it is well: another's trouble is then its own (B1)."""
        window = self._windows.get(target)
        return window is not None and self._policy.vouches(*window.totals(self._clock.monotonic(), RECENT_BUCKETS))

    async def open(self, target: str) -> None:
        """An operator shuts `target` out, for the longest cooldown."""
        opening = self._opening(OPENED_BY_HAND, 0.0)
        self._forget(target, opening.now)
        await self._board.publish(target, opening.by_hand(self._policy, self._board.state(target)))

    async def close(self, target: str) -> None:
        """An operator lets `target` be called again."""
        self._forget(target, self._clock.monotonic())
        await self._board.publish(target, None)

    def reports(self, targets: Iterable[str]) -> list[BreakerReport]:
        """How `targets` stand, and every other one whose breaker is not closed."""
        return [self._report(target) for target in dict.fromkeys([*targets, *self._board.open_targets()])]

    def _report(self, target: str) -> BreakerReport:
        state, now = self._board.state(target), self._clock.monotonic()
        if state is None:
            window = self._windows.get(target)
            failures = 0 if window is None else window.totals(now)[1]
            return BreakerReport(target, Phase.CLOSED, None, failures, None, None)
        due = self._clock.time() + state.open_until - now
        return BreakerReport(target, phase(state, now), state.reason, state.failures, state.since, due)

    def _count(self, target: str, call: _Call, *, failed: bool) -> int:
        """Counts a call of a closed breaker; how many failures open it, or 0."""
        now = self._clock.monotonic()
        window = self._window(target)
        if self._board.state(target) is not None:
            window.clear(now)
            return 0
        if call.began < window.cleared_at:
            return 0
        window.count(now, failed=failed)
        if not failed:
            return 0
        calls, failures = window.totals(now)
        return failures if self._policy.opens(calls, failures, window.in_a_row) else 0

    def _window(self, target: str) -> CallWindow:
        window = self._windows.get(target)
        if window is None:
            if len(self._windows) >= MAX_TARGETS:
                del self._windows[next(iter(self._windows))]
            window = self._windows[target] = CallWindow(self._policy.window)
        return window

    def _forget(self, target: str, now: float) -> None:
        self._window(target).clear(now)

    def _opening(self, reason: str, least: float) -> Opening:
        return Opening(self._clock.monotonic(), self._clock.time(), reason, least, self._chance())
