"""The refusals port: requests that were answered with an error before any of their answer, counted and logged."""

from abc import abstractmethod
from enum import StrEnum
from typing import Protocol


class Door(StrEnum):
    """Who refused."""

    NATIVE = "native"
    CHAT = "chat"
    OPERATOR = "operator"
    """The routes for who looks after the service: health, metrics, executions, targets."""
    SERVER = "server"
    """The HTTP protocol, before any route was known."""
    OTHER = "other"
    """Any other path."""


SERVER_CODES = frozenset(
    {
        "bad_request",
        "chunk_overhead_too_large",
        "head_too_large",
        "method_not_allowed",
        "request_timeout",
        "target_too_long",
        "too_many_connections",
        "upgrade_required",
    }
)
"""The codes of refusals for which there is no error class: the framework's and those of the HTTP protocol."""
STREAM_CODES = frozenset({"cancelled", "producer_lost"})
"""The codes of streams that ended before their first event, by no error."""


class Refusals(Protocol):
    """Is told of each request that gets a 4xx or 5xx before a stream began (G9)."""

    @abstractmethod
    def refuse(self, door: str, code: str, status: int | None = None) -> None:
        """Counts and logs one refusal; returns at once and never raises.

        `door` is the value of a `Door`; `code` that of an error class, or one of SERVER_CODES and STREAM_CODES; any
        other is told as `other`. `status` is what the client gets. The thread id of the log line is that of the running
        request, if there is one.
        """
