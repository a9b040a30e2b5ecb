"""The queue port."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from domain.jobs import QueueMessage, Waiting


class MessageQueue(Protocol):
    """The waiting line in front of the slots: bounded, fair among callers, first come first served within one (Q4)."""

    @abstractmethod
    async def put(self, message: QueueMessage) -> int | None:
        """Joins the line. The number of the tenant's own messages ahead, or None: full, and nothing was stored.

        Raises `QueueError` if the line cannot be reached. Then, and if the caller is cancelled, the message waits in
        this process alone until it is removed, and joins by another `put`, or with all others by `positions`.
        """

    @abstractmethod
    async def take(self, passed_over: Collection[str]) -> QueueMessage | None:
        """Removes and returns the message whose turn it is, or None; `passed_over` are tenants whose turn it is not.

        One that another process has put comes with a `lease`: from now on its stream is this process's to fill. If this
        process dies before its stream has any output, the message comes back into the line by a `reclaim` (Q7).
        """

    @abstractmethod
    async def restore(self, message: QueueMessage) -> None:
        """Undoes a `take`: the message is its tenant's first again, this cost it nothing, and it keeps no slot."""

    @abstractmethod
    async def remove(self, stream_id: str) -> bool:
        """Leaves the line. False if the message is not in it."""

    @abstractmethod
    async def reclaim(self) -> None:
        """Puts back what was taken by processes that are dead by now, before there was any output: first of all."""

    @abstractmethod
    def retire(self) -> None:
        """From now on only what this process has put is taken: it is about to end."""

    @abstractmethod
    async def positions(self) -> Mapping[str, int]:
        """Of all who wait, by stream id, how many of the tenant's own are ahead (Q5)."""

    @abstractmethod
    async def list(self) -> Sequence[Waiting]:
        """All who wait, tenant by tenant in the order of the round, each in the order of its line.

        Raises a `QueueError` if that cannot be told.
        """
