"""The limiter port."""

from abc import abstractmethod
from typing import Protocol

from domain.model import Caller, Cost, Verdict


class Limiter(Protocol):
    """Rates per caller, by its tier: requests and tokens in one decision."""

    @abstractmethod
    async def admit(self, caller: Caller, cost: Cost) -> Verdict:
        """Takes `cost` from both limits, or nothing from either. A refusal is a verdict, not an error. Never raises."""

    @abstractmethod
    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """Corrects the tokens of an admitted call from what was reserved to what was used. Never raises."""

    @abstractmethod
    async def refund(self, caller: Caller, cost: Cost) -> None:
        """Gives an admitted call's whole cost back, in place of a settlement: nothing came of it. Never raises."""
