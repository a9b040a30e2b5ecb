"""A limiter that limits nothing: what is plugged in when rate limits are switched off."""

from domain.model import Caller, Cost, Verdict
from ports.limiter import Limiter


class UnlimitedLimiter(Limiter):
    """Admits everything."""

    async def admit(self, caller: Caller, cost: Cost) -> Verdict:
        """Yes."""
        return Verdict(admitted=True)

    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """Nothing was taken, so nothing is given back."""

    async def refund(self, caller: Caller, cost: Cost) -> None:
        """The same."""
