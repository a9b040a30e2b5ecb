"""The fleet port: an optional power of a stream log that several processes share."""

from abc import abstractmethod
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from domain.model import Lease, StreamInfo


class FleetEvent(StrEnum):
    """What one process may tell another."""

    LEFT = "left"
    """The last reader of a stream of yours has left me."""
    CANCEL = "cancel"
    """Somebody cancels a stream of yours."""
    SLOT = "slot"
    """There may be a slot for somebody who waits."""
    TAKEN = "taken"
    """A stream of yours is not yours any more, and its log has no output of yours: if it had waited in the line, it is
    another process's to fill. Said before an append of yours is refused for it."""


class Fleet(Protocol):
    """What the processes of a fleet tell each other about a stream that one fills and others read. Never raises."""

    @abstractmethod
    def listen(self, event: FleetEvent, listener: Callable[[str], None]) -> None:
        """From now on `listener` is called with the id of the stream that the event is about."""

    @abstractmethod
    async def adopt(self, info: StreamInfo, lease: Lease) -> None:
        """Goes on with a stream of another process, whose lease has passed to this one; all that its log has is here
        when this returns. Raises `StreamLogUnavailableError` or `StreamLogFullError`."""

    @abstractmethod
    async def read_elsewhere(self, stream_id: str) -> bool:
        """Whether other processes have readers of this stream, or this one has some from before it filled it; False
        where that cannot be told.

        If they have none, no equal request joins it any more: the caller is about to give it up.
        """

    @abstractmethod
    async def cancel_elsewhere(self, stream_id: str) -> None:
        """Asks the process that fills the stream to cancel it."""
