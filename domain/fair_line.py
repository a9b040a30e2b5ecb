"""Deficit round robin: who is next, among tenants of different weights with things of different costs.

Source: M. Shreedhar, G. Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", IEEE/ACM Transactions on
Networking 4(3), 1996. The quantum is the largest cost that there is, so that each visit serves at least one: a tenant
with one waits one round at most, whatever the others have waiting (Q4).
"""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import Generic, Protocol, TypeVar

from domain.jobs import MAX_COST

QUANTUM = MAX_COST


class InLine(Protocol):
    """What stands in a line: one of a `tenant`, of a `cost` from 1 to MAX_COST, which its tenant's `weight` pays."""

    @property
    @abstractmethod
    def stream_id(self) -> str:
        """Its name."""

    @property
    @abstractmethod
    def tenant(self) -> str:
        """Whose it is."""

    @property
    @abstractmethod
    def cost(self) -> int:
        """What it uses of its tenant's turn."""

    @property
    @abstractmethod
    def weight(self) -> int:
        """What its tenant's turn is worth, in quanta."""


T = TypeVar("T", bound=InLine)


class _Tenant(Generic[T]):
    """What one tenant has waiting, and what it may still use in this visit."""

    __slots__ = ("deficit", "visited", "waiting")

    def __init__(self) -> None:
        self.waiting: OrderedDict[str, T] = OrderedDict()
        self.deficit = 0
        self.visited = False


class FairLine(Generic[T]):
    """At most `max_depth` in all, at most `max_per_tenant` of one tenant (Q1). All but `places` is O(tenants)."""

    def __init__(self, max_depth: int, max_per_tenant: int) -> None:
        self._max_depth = max_depth
        self._max_per_tenant = max_per_tenant
        self._ring: OrderedDict[str, _Tenant[T]] = OrderedDict()  # the one whose turn it is first
        self._tenants: dict[str, str] = {}  # by stream id

    def __len__(self) -> int:
        return len(self._tenants)

    def put(self, one: T) -> int | None:
        """Joins the end of its tenant's line; returns how many are before it there, or None: there is no room."""
        tenant = self._ring.get(one.tenant)
        ahead = 0 if tenant is None else len(tenant.waiting)
        if len(self._tenants) >= self._max_depth or ahead >= self._max_per_tenant:
            return None
        self._tenant(one.tenant).waiting[one.stream_id] = one
        self._tenants[one.stream_id] = one.tenant
        return ahead

    def take(self, passed_over: Collection[str] = ()) -> T | None:
        """The next, but none of these tenants'. Two rounds are enough, as each visit pays for one."""
        for _ in range(2 * len(self._ring)):
            name, tenant = next(iter(self._ring.items()))
            one = next(iter(tenant.waiting.values()))
            if name not in passed_over:
                if not tenant.visited:
                    tenant.visited = True
                    # What a visit leaves over is less than one costs; only what was restored could be more.
                    tenant.deficit = min(tenant.deficit, MAX_COST) + QUANTUM * one.weight
                if one.cost <= tenant.deficit:
                    tenant.deficit -= one.cost
                    self._drop(one)
                    return one
            tenant.visited = False
            self._ring.move_to_end(name)
        return None

    def restore(self, one: T) -> None:
        """Puts it back before all others of its tenant, whose turn it is again."""
        tenant = self._tenant(one.tenant)
        tenant.waiting[one.stream_id] = one
        tenant.waiting.move_to_end(one.stream_id, last=False)
        tenant.deficit += one.cost
        tenant.visited = True
        self._ring.move_to_end(one.tenant, last=False)
        self._tenants[one.stream_id] = one.tenant

    def remove(self, stream_id: str) -> bool:
        """Leaves the line, wherever in it; False if it is not there."""
        tenant = self._tenants.get(stream_id)
        if tenant is None:
            return False
        self._drop(self._ring[tenant].waiting[stream_id])
        return True

    def places(self) -> Iterator[tuple[T, int]]:
        """Each, and how many of its tenant's are before it."""
        for tenant in self._ring.values():
            for ahead, one in enumerate(tenant.waiting.values()):
                yield one, ahead

    def _tenant(self, name: str) -> _Tenant[T]:
        tenant = self._ring.get(name)
        if tenant is None:
            tenant = self._ring[name] = _Tenant()
        return tenant

    def _drop(self, one: T) -> None:
        """A tenant that has nothing waiting any more leaves nothing behind, and no deficit for later."""
        del self._tenants[one.stream_id]
        tenant = self._ring[one.tenant]
        del tenant.waiting[one.stream_id]
        if not tenant.waiting:
            del self._ring[one.tenant]
