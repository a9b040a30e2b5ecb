"""The occupancy port: an optional power of an adapter that holds things."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class Occupancy(Protocol):
    """Tells how full it is."""

    @abstractmethod
    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """What can be read of it now, each under the name of its gauge. Readings may be taken from any thread, cost
        less than 1 us, and never raise."""
