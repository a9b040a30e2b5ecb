"""The queue port."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Protocol

from domain.model import QueueMessage


class MessageQueue(Protocol):
    """The waiting line in front of the slots: bounded, fair among callers, first come first served within one (Q4)."""

    @abstractmethod
    async def put(self, message: QueueMessage) -> int | None:
        """Joins the line. The number of the tenant's own messages ahead, or None: full, and nothing was stored."""

    @abstractmethod
    async def take(self, passed_over: Collection[str]) -> QueueMessage | None:
        """Removes and returns the message whose turn it is, or None; `passed_over` are tenants whose turn it is not."""

    @abstractmethod
    async def restore(self, message: QueueMessage) -> None:
        """Undoes a `take`: the message is its tenant's first again, and this cost it nothing."""

    @abstractmethod
    async def remove(self, stream_id: str) -> bool:
        """Leaves the line. False if the message is not in it."""

    @abstractmethod
    async def positions(self) -> Mapping[str, int]:
        """Of all who wait, by stream id, how many of the tenant's own are ahead (Q5)."""
