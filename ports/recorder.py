"""The recorder port."""

from abc import abstractmethod
from typing import Protocol

from domain.model import RequestRecord


class Recorder(Protocol):
    """Keeps one record of each finished request."""

    @abstractmethod
    def record(self, record: RequestRecord) -> None:
        """Takes the record; returns at once and never raises."""
