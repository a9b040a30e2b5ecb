"""The dead letters port."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from domain.jobs import DeadLetter


class DeadLetters(Protocol):
    """Jobs that failed for good before any output, for an operator to look at and to replay; bounded, the oldest go."""

    @abstractmethod
    async def bury(self, letter: DeadLetter) -> None:
        """Keeps it. Never raises: what cannot be kept is gone."""

    @abstractmethod
    async def list(self) -> Sequence[DeadLetter]:
        """All, the oldest first. Raises a `QueueError` if they cannot be read."""

    @abstractmethod
    async def find(self, stream_id: str) -> DeadLetter | None:
        """One, which stays. Raises a `QueueError` if it cannot be told whether there is one."""

    @abstractmethod
    async def exhume(self, stream_id: str) -> DeadLetter | None:
        """Removes and returns one. Raises a `QueueError` if it cannot be told whether there is one."""
