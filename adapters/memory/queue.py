"""The queue in memory: first come, first served."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping

from domain.model import QueueMessage
from ports.occupancy import Occupancy
from ports.queue import MessageQueue


class MemoryMessageQueue(MessageQueue, Occupancy):
    """At most `max_depth` messages, at most `max_per_tenant` of one tenant (Q1)."""

    def __init__(self, max_depth: int, max_per_tenant: int) -> None:
        self._max_depth = max_depth
        self._max_per_tenant = max_per_tenant
        # Ordered, as a plain dict grows slow when it is emptied from its front.
        self._messages: OrderedDict[str, QueueMessage] = OrderedDict()
        self._waiting: Counter[str] = Counter()  # by tenant

    async def put(self, message: QueueMessage) -> int | None:
        """Joins at the end."""
        ahead = self._waiting[message.tenant]
        if len(self._messages) >= self._max_depth or ahead >= self._max_per_tenant:
            return None
        self._messages[message.stream_id] = message
        self._waiting[message.tenant] += 1
        return ahead

    async def take(self, eligible: Callable[[QueueMessage], bool]) -> QueueMessage | None:
        """Looks from the front, past those that are not eligible; they keep their places."""
        for message in self._messages.values():
            if eligible(message):
                self._drop(message)
                return message
        return None

    async def remove(self, stream_id: str) -> bool:
        """Leaves the line, wherever in it."""
        message = self._messages.get(stream_id)
        if message is None:
            return False
        self._drop(message)
        return True

    async def depth(self) -> int:
        """All tenants together."""
        return len(self._messages)

    def _drop(self, message: QueueMessage) -> None:
        del self._messages[message.stream_id]
        self._waiting[message.tenant] -= 1
        if not self._waiting[message.tenant]:
            del self._waiting[message.tenant]

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {"headgate_queue_depth": self._messages.__len__}
