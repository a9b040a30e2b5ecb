"""The queue in memory: deficit round robin over tenants, first come first served within one.

Source: M. Shreedhar, G. Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", IEEE/ACM Transactions on
Networking 4(3), 1996. The quantum is the largest cost that there is, so that each visit serves at least one message: a
tenant with one waits one round at most, whatever the others have waiting (Q4).
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence

from domain.jobs import MAX_COST, QueueMessage, Waiting
from ports.occupancy import Occupancy
from ports.queue import MessageQueue

QUANTUM = MAX_COST


class _Line:
    """What one tenant has waiting, and what it may still use in this visit."""

    __slots__ = ("deficit", "messages", "visited")

    def __init__(self) -> None:
        self.messages: OrderedDict[str, QueueMessage] = OrderedDict()
        self.deficit = 0
        self.visited = False


class MemoryMessageQueue(MessageQueue, Occupancy):
    """At most `max_depth` messages, at most `max_per_tenant` of one tenant (Q1)."""

    def __init__(self, max_depth: int, max_per_tenant: int) -> None:
        self._max_depth = max_depth
        self._max_per_tenant = max_per_tenant
        self._ring: OrderedDict[str, _Line] = OrderedDict()  # by tenant; the one whose turn it is first
        self._tenants: dict[str, str] = {}  # by stream id

    async def put(self, message: QueueMessage) -> int | None:
        """Joins the end of its tenant's line."""
        line = self._ring.get(message.tenant)
        ahead = 0 if line is None else len(line.messages)
        if len(self._tenants) >= self._max_depth or ahead >= self._max_per_tenant:
            return None
        self._line(message.tenant).messages[message.stream_id] = message
        self._tenants[message.stream_id] = message.tenant
        return ahead

    async def take(self, passed_over: Collection[str]) -> QueueMessage | None:
        """Goes round until somebody may be served; two rounds are enough, as each visit pays for one message."""
        for _ in range(2 * len(self._ring)):
            tenant, line = next(iter(self._ring.items()))
            message = next(iter(line.messages.values()))
            if tenant not in passed_over:
                if not line.visited:
                    line.visited = True
                    # What a visit leaves over is less than a message costs; only what was restored could be more.
                    line.deficit = min(line.deficit, MAX_COST) + QUANTUM * message.weight
                if message.cost <= line.deficit:
                    line.deficit -= message.cost
                    self._drop(message)
                    return message
            line.visited = False
            self._ring.move_to_end(tenant)
        return None

    async def restore(self, message: QueueMessage) -> None:
        """Before all others of its tenant, whose turn it is again."""
        line = self._line(message.tenant)
        line.messages[message.stream_id] = message
        line.messages.move_to_end(message.stream_id, last=False)
        line.deficit += message.cost
        line.visited = True
        self._ring.move_to_end(message.tenant, last=False)
        self._tenants[message.stream_id] = message.tenant

    async def remove(self, stream_id: str) -> bool:
        """Leaves the line, wherever in it."""
        tenant = self._tenants.get(stream_id)
        if tenant is None:
            return False
        self._drop(self._ring[tenant].messages[stream_id])
        return True

    async def reclaim(self) -> None:
        """What this process has taken dies with it."""

    def retire(self) -> None:
        """There is nobody else's."""

    async def positions(self) -> Mapping[str, int]:
        """Counted in one pass over all."""
        return {stream_id: ahead for line in self._ring.values() for ahead, stream_id in enumerate(line.messages)}

    async def list(self) -> Sequence[Waiting]:
        """Each may wait as long as it could when it came."""
        return [
            Waiting(one.stream_id, tenant, ahead, one.cost, 0, one.wait)
            for tenant, line in self._ring.items()
            for ahead, one in enumerate(line.messages.values())
        ]

    def _line(self, tenant: str) -> _Line:
        line = self._ring.get(tenant)
        if line is None:
            line = self._ring[tenant] = _Line()
        return line

    def _drop(self, message: QueueMessage) -> None:
        """A tenant that has nothing waiting any more leaves nothing behind, and no deficit for later."""
        del self._tenants[message.stream_id]
        line = self._ring[message.tenant]
        del line.messages[message.stream_id]
        if not line.messages:
            del self._ring[message.tenant]

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {"headgate_queue_depth": self._tenants.__len__}
