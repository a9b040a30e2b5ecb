"""The breaker board in memory."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from adapters.memory.probe_leases import MAX_TARGETS, ProbeLeases
from domain.model import BreakerState
from ports.breaker_board import BreakerBoard
from ports.clock import Clock
from ports.occupancy import Occupancy


class MemoryBreakerBoard(BreakerBoard, Occupancy):
    """The open breakers of this process; beyond MAX_TARGETS the one that was published longest ago is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._states: dict[str, BreakerState] = {}
        self._leases = ProbeLeases(clock)
        self._closed = 0
        """The highest generation that was closed, of any target: none is used again, and nothing is kept of each."""

    def state(self, target: str) -> BreakerState | None:
        """The state that was published last."""
        return self._states.get(target)

    def open_targets(self) -> Collection[str]:
        """In the order in which they opened."""
        return list(self._states)

    async def publish(self, target: str, state: BreakerState | None) -> None:
        """Opens or closes; a probe that is out stays out."""
        known = self._states.pop(target, None)
        if state is None:
            self._closed = max(self._closed, known.generation if known else 0)
            return
        if len(self._states) >= MAX_TARGETS:
            oldest = self._states.pop(next(iter(self._states)))
            self._closed = max(self._closed, oldest.generation)
        used = known.generation if known else self._closed
        self._states[target] = replace(state, generation=max(state.generation, used + 1))

    async def acquire_probe(self, target: str, holder: str, seconds: float) -> bool:
        """Takes the probe; whoever has it takes it again, for `seconds` from now (B3)."""
        return self._leases.take(target, holder, seconds)

    async def release_probe(self, target: str, holder: str) -> None:
        """Gives it back, if it is still this holder's."""
        self._leases.give_back(target, holder)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {"headgate_open_breakers": self._states.__len__}
