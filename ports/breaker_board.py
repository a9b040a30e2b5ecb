"""The breaker board port."""

from abc import abstractmethod
from collections.abc import Collection
from typing import Protocol

from domain.model import BreakerState


class BreakerBoard(Protocol):
    """What the fleet knows of the breakers that are open, and who may probe. Never raises (B6): what cannot be shared
    holds in this process."""

    @abstractmethod
    def state(self, target: str) -> BreakerState | None:
        """The breaker of `target` as last heard, or None while it is closed. No I/O: each request asks."""

    @abstractmethod
    def open_targets(self) -> Collection[str]:
        """All targets whose breaker is not closed. No I/O."""

    @abstractmethod
    async def publish(self, target: str, state: BreakerState | None) -> None:
        """Opens the breaker for all, or closes it (None): here at once, elsewhere within a second.

        A generation that was used already, for another opening of this target, is replaced by the next one.
        """

    @abstractmethod
    async def acquire_probe(self, target: str, holder: str, seconds: float) -> bool:
        """Takes the one probe of `target` for `seconds` at most. False while another holds it."""

    @abstractmethod
    async def release_probe(self, target: str, holder: str) -> None:
        """Gives the probe back; nothing happens if `holder` has it no more."""
