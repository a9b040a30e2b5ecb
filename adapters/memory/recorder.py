"""The recorder in memory: the last records, for tests and for a look at what goes on."""

from collections import deque

from domain.model import RequestRecord
from ports.recorder import Recorder


class MemoryRecorder(Recorder):
    """A ring of the last `capacity` records."""

    def __init__(self, capacity: int) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=capacity)

    @property
    def records(self) -> tuple[RequestRecord, ...]:
        """Those that are kept, the oldest first."""
        return tuple(self._records)

    def record(self, record: RequestRecord) -> None:
        """Takes it; the oldest makes room."""
        self._records.append(record)

    def find(self, thread_id: str) -> RequestRecord | None:
        """The newest record of that thread, or None if none is kept."""
        return next((record for record in reversed(self._records) if record.thread_id == thread_id), None)
