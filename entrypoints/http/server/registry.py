"""What a connection needs of those who keep all connections."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from entrypoints.http.server.limits import ConnectionLimits
from ports.defects import Defects
from ports.refusals import Refusals


class Registry(Protocol):
    """What a connection needs of those who keep all connections."""

    limits: ConnectionLimits
    now: Callable[[], float]
    """Monotonic seconds."""
    refusals: Refusals
    defects: Defects
    buffered: int
    """Bytes that all connections keep: of heads that are not whole, and of what follows requests."""

    @abstractmethod
    def admit(self, connection: Any, address: str) -> bool:
        """Takes a new connection in; False if there is no room."""

    @abstractmethod
    def remove(self, connection: Any) -> None:
        """The connection is gone."""

    @abstractmethod
    def rest(self, connection: Any) -> None:
        """The connection has no request under way."""

    @abstractmethod
    def work(self, connection: Any) -> None:
        """The connection has a request under way."""

    @abstractmethod
    def own_headers(self, given: list[tuple[bytes, bytes]]) -> bytes:
        """The server's own headers as lines."""
