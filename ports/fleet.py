"""The fleet port: an optional power of a stream log that several processes share."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol


class Fleet(Protocol):
    """What the processes of a fleet tell each other about a stream that one fills and others read. Never raises."""

    @abstractmethod
    def listen(self, left: Callable[[str], None], cancelled: Callable[[str], None]) -> None:
        """From now on `left` is called with the id of a stream of this process whose last reader on another has gone,
        and `cancelled` with one that somebody has cancelled there."""

    @abstractmethod
    async def read_elsewhere(self, stream_id: str) -> bool:
        """Whether other processes have readers of this stream; False where that cannot be told.

        If they have none, no equal request joins it any more: the caller is about to give it up.
        """

    @abstractmethod
    async def cancel_elsewhere(self, stream_id: str) -> None:
        """Asks the process that fills the stream to cancel it."""
