"""What all doors share: open responses, the reader of bodies, answers to what is refused, headers of a stream."""

from dataclasses import dataclass

from domain.services.execution_tracker import ExecutionTracker
from domain.services.streams import Attachment
from entrypoints.http.bodies import Bodies
from entrypoints.http.errors import ErrorResponses
from entrypoints.http.headers import stream_headers
from entrypoints.http.sse import OpenStreams


@dataclass(frozen=True, slots=True)
class Edge:
    """Given to every router. Times in seconds."""

    streams: OpenStreams
    bodies: Bodies
    tracker: ExecutionTracker
    errors: ErrorResponses
    retention: int
    native_grace: float
    openai_grace: float
    started_at: int
    """Unix time."""

    def headers(self, attachment: Attachment, thread_id: str) -> dict[str, str]:
        """The headers that every stream carries."""
        return stream_headers(attachment, self.tracker, thread_id, self.retention)
