"""The slots port."""

from abc import abstractmethod
from typing import Protocol

from domain.model import Caller


class Slots(Protocol):
    """How many generations run at once, in all and per caller."""

    @abstractmethod
    async def acquire(self, caller: Caller, holder: str) -> bool:
        """Takes a slot for `holder` (a stream id), both bounds checked in one step. False if there is none."""

    @abstractmethod
    def room(self) -> bool:
        """Whether there is any slot for anybody now, as far as this process knows. No I/O."""

    @abstractmethod
    async def release(self, holder: str) -> bool:
        """Gives the slot of `holder` back; nothing happens if it has none. Whether anybody may be waiting for one
        in another process."""
