"""The clock port."""

from abc import abstractmethod
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests can hold it. Never fails."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds that never go back; for durations and deadlines."""

    @abstractmethod
    def time(self) -> float:
        """Unix time in seconds; for what people read."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Returns when that many seconds have passed on the monotonic clock."""
