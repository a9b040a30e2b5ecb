"""The breaker board in memory."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from domain.model import BreakerState
from ports.breaker_board import BreakerBoard
from ports.clock import Clock
from ports.occupancy import Occupancy

# A caller may name any model of a provider, so targets are without number; this many are remembered.
MAX_TARGETS = 10_000


class _Probe(NamedTuple):
    holder: str
    until: float


class MemoryBreakerBoard(BreakerBoard, Occupancy):
    """The open breakers of this process; beyond MAX_TARGETS the one that was published longest ago is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states: dict[str, BreakerState] = {}
        self._probes: dict[str, _Probe] = {}

    def state(self, target: str) -> BreakerState | None:
        """The state that was published last."""
        return self._states.get(target)

    async def publish(self, target: str, state: BreakerState | None) -> None:
        """Opens or closes; a probe that is out stays out."""
        self._states.pop(target, None)
        if state is not None:
            _make_room(self._states)
            self._states[target] = state

    async def acquire_probe(self, target: str, holder: str, seconds: float) -> bool:
        """Takes the probe; whoever has it takes it again, for `seconds` from now (B3)."""
        now = self._clock.monotonic()
        probe = self._probes.get(target)
        if probe is not None and probe.until > now and probe.holder != holder:
            return False
        self._probes.pop(target, None)
        _make_room(self._probes)
        self._probes[target] = _Probe(holder, now + seconds)
        return True

    async def release_probe(self, target: str, holder: str) -> None:
        """Gives it back, if it is still this holder's."""
        probe = self._probes.get(target)
        if probe is not None and probe.holder == holder:
            del self._probes[target]

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {"headgate_open_breakers": self._states.__len__}


def _make_room(targets: dict[str, BreakerState] | dict[str, _Probe]) -> None:
    if len(targets) >= MAX_TARGETS:
        del targets[next(iter(targets))]
