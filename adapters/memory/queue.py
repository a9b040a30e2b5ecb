"""The queue in memory: a fair line of messages."""

from collections.abc import Callable, Collection, Mapping, Sequence

from domain.fair_line import FairLine
from domain.jobs import QueueMessage, Waiting
from ports.occupancy import Occupancy
from ports.queue import MessageQueue


class MemoryMessageQueue(MessageQueue, Occupancy):
    """At most `max_depth` messages, at most `max_per_tenant` of one tenant (Q1)."""

    def __init__(self, max_depth: int, max_per_tenant: int) -> None:
        self._line: FairLine[QueueMessage] = FairLine(max_depth, max_per_tenant)

    async def put(self, message: QueueMessage) -> int | None:
        """Joins the end of its tenant's line."""
        return self._line.put(message)

    async def take(self, passed_over: Collection[str]) -> QueueMessage | None:
        """By deficit round robin."""
        return self._line.take(passed_over)

    async def restore(self, message: QueueMessage) -> None:
        """Before all others of its tenant, whose turn it is again."""
        self._line.restore(message)

    async def remove(self, stream_id: str) -> bool:
        """Leaves the line, wherever in it."""
        return self._line.remove(stream_id)

    async def reclaim(self) -> None:
        """What this process has taken dies with it."""

    def retire(self) -> None:
        """There is nobody else's."""

    async def positions(self) -> Mapping[str, int]:
        """Counted in one pass over all."""
        return {one.stream_id: ahead for one, ahead in self._line.places()}

    async def list(self) -> Sequence[Waiting]:
        """Each may wait as long as it could when it came."""
        return [Waiting(one.stream_id, one.tenant, ahead, one.cost, 0, one.wait) for one, ahead in self._line.places()]

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {"headgate_queue_depth": self._line.__len__}
