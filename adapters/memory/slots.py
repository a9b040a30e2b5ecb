"""The slots in memory."""

from collections import Counter
from collections.abc import Callable, Mapping

from domain.model import Caller
from ports.occupancy import Occupancy
from ports.slots import Slots


class MemorySlots(Slots, Occupancy):
    """`total` slots; of them, a tenant may have as many as `per_caller` says for the caller that asks (L6)."""

    def __init__(self, total: int, per_caller: Callable[[Caller], int]) -> None:
        self._total = total
        self._per_caller = per_caller
        self._tenants: dict[str, str] = {}  # by holder
        self._held: Counter[str] = Counter()  # by tenant

    def __len__(self) -> int:
        """How many are taken."""
        return len(self._tenants)

    async def acquire(self, caller: Caller, holder: str) -> bool:
        """Takes a slot; one that `holder` already has is still its only one."""
        if holder in self._tenants:
            return True
        if not self.room() or self._held[caller.tenant] >= self._per_caller(caller):
            return False
        self._tenants[holder] = caller.tenant
        self._held[caller.tenant] += 1
        return True

    def room(self) -> bool:
        """Whether the bound of all has room."""
        return len(self._tenants) < self._total

    async def release(self, holder: str) -> bool:
        """Gives the slot back. A tenant without slots leaves nothing behind. Nobody waits elsewhere than here."""
        tenant = self._tenants.pop(holder, None)
        if tenant is not None:
            self._held[tenant] -= 1
            if not self._held[tenant]:
                del self._held[tenant]
        return False

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {"headgate_slots_in_use": self._tenants.__len__}
