"""Leases of probes in memory: who may probe a target, and until when."""

from collections.abc import Iterator
from typing import NamedTuple

from ports.clock import Clock

# A caller may name any model of a provider, so targets are without number; this many are remembered.
MAX_TARGETS = 10_000


class _Lease(NamedTuple):
    holder: str
    until: float


class ProbeLeases:
    """At most one holder for each target; beyond MAX_TARGETS the lease that was taken longest ago is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[str, _Lease] = {}

    def take(self, target: str, holder: str, seconds: float) -> bool:
        """Takes the lease; whoever has it takes it again, for `seconds` from now. False while another has it."""
        now = self._clock.monotonic()
        lease = self._leases.pop(target, None)
        if lease is not None and lease.until > now and lease.holder != holder:
            self._leases[target] = lease
            return False
        if len(self._leases) >= MAX_TARGETS:
            del self._leases[next(iter(self._leases))]
        self._leases[target] = _Lease(holder, now + seconds)
        return True

    def give_back(self, target: str, holder: str) -> None:
        """Ends the lease, if it is still this holder's."""
        lease = self._leases.get(target)
        if lease is not None and lease.holder == holder:
            del self._leases[target]

    def held(self) -> Iterator[tuple[str, str, float]]:
        """Target, holder and seconds left of each lease that lasts."""
        now = self._clock.monotonic()
        for target, lease in self._leases.items():
            if lease.until > now:
                yield target, lease.holder, lease.until - now
