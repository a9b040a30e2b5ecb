"""Interim."""

from contextlib import nullcontext
from typing import Any


class ExecutionTracker:
    """Interim."""

    def __init__(self, clock: object, enabled: bool = True, sample_rate: float = 0.1) -> None:
        self._n: Any = nullcontext()

    def track_stage(self, stage: str, name: str, thread_id: str) -> Any:
        return self._n

    def track_substage(self, stage: str, name: str, thread_id: str | None = None) -> Any:
        return self._n

    def server_timing(self, thread_id: str) -> str:
        return ""
