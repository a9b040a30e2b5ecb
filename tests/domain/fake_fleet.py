"""Other replicas, as a test says that they are."""

from collections.abc import Callable
from dataclasses import dataclass, field

from domain.errors import StreamLogUnavailableError
from domain.model import Lease, StreamInfo
from ports.fleet import Fleet, FleetEvent


@dataclass
class FakeFleet(Fleet):
    """Other replicas, as a test says that they are."""

    elsewhere: bool = False
    asked: int = 0
    unreadable: bool = False
    adopted: list[Lease] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    listeners: dict[FleetEvent, Callable[[str], None]] = field(default_factory=dict)

    def listen(self, event: FleetEvent, listener: Callable[[str], None]) -> None:
        self.listeners[event] = listener

    def left(self, stream_id: str) -> None:
        self.listeners[FleetEvent.LEFT](stream_id)

    def on_cancel(self, stream_id: str) -> None:
        self.listeners[FleetEvent.CANCEL](stream_id)

    async def adopt(self, info: StreamInfo, lease: Lease) -> None:
        """Into the log of this process, as if all of it had been read there."""
        if self.unreadable:
            raise StreamLogUnavailableError("down")
        self.adopted.append(lease)

    async def read_elsewhere(self, stream_id: str) -> bool:
        self.asked += 1
        return self.elsewhere

    async def cancel_elsewhere(self, stream_id: str) -> None:
        self.cancelled.append(stream_id)
