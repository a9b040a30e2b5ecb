"""The queue port."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

from domain.model import QueueMessage


class MessageQueue(Protocol):
    """The waiting line in front of the slots: bounded, first come first served within a caller."""

    @abstractmethod
    async def put(self, message: QueueMessage) -> int | None:
        """Joins the line. The number of the tenant's own messages ahead, or None: full, and nothing was stored."""

    @abstractmethod
    async def take(self, eligible: Callable[[QueueMessage], bool]) -> QueueMessage | None:
        """Removes and returns the first message that is eligible, or None."""

    @abstractmethod
    async def remove(self, stream_id: str) -> bool:
        """Leaves the line. False if the message is not in it."""

    @abstractmethod
    async def depth(self) -> int:
        """How many wait."""
