"""How long a provider may be silent, and an answer may take (R2): for all targets, and for those with their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SIGNS_OF_LIFE = 4
"""So many idle limits in a row a provider is waited for that gives signs of life and nothing of an answer."""


@dataclass(frozen=True, slots=True)
class StreamTimeouts:
    """The limits of one target's answers; seconds."""

    first_event: float = 10.0
    """Before the first event, while another target of the route could still answer."""
    first_event_last: float = 120.0
    """Before the first event, while no other target could: models think."""
    idle: float = 60.0
    total: float = 3600.0

    @property
    def probe(self) -> float:
        """The longest that the probe of a breaker may take to its first event: signs of life win it no time."""
        return min(max(self.first_event, self.first_event_last), self.total)


class Timeouts:
    """The limits of each target: `own` by its name, `provider/model`, else `default`."""

    def __init__(self, default: StreamTimeouts, own: Mapping[str, StreamTimeouts] = MappingProxyType({})) -> None:
        self._default = default
        self._own = own

    def of(self, target: str) -> StreamTimeouts:
        """Those of a target."""
        return self._own.get(target, self._default)
