"""The canonical log line: one for each request, with all that is worth knowing about it."""

from collections.abc import Callable
from functools import cached_property

from structlog.types import EventDict

from adapters.observability.logging import info_lines
from domain.model import RequestRecord
from ports.recorder import Recorder

_NAME = "headgate.request"


class StructlogRecorder(Recorder):
    """Writes each record as one `request` line."""

    @cached_property
    def _write(self) -> Callable[[EventDict], None]:
        # At the first record, when logging is configured, and once.
        return info_lines(_NAME)

    def record(self, record: RequestRecord) -> None:
        """One line."""
        usage = record.usage
        fields: EventDict = {
            "logger_name": _NAME,
            "event": "request",
            "thread_id": record.thread_id,
            "stream_id": record.stream_id,
            "tenant": record.tenant,
            "door": str(record.door),
            "route": record.model,
            "target": record.target,
            "outcome": str(record.outcome),
            "code": record.code,
            "cache": str(record.cache),
            "attempts": record.attempts,
            "rescues": record.rescues,
            "prompt_tokens": None if usage is None else usage.prompt_tokens,
            "completion_tokens": None if usage is None else usage.completion_tokens,
            "first_event_ms": _milliseconds(record.first_event_seconds),
            "total_ms": _milliseconds(record.total_seconds),
        }
        if record.failures:
            fields["failures"] = record.failures
        if record.stages:
            fields["stages_ms"] = {name: _milliseconds(seconds) for name, seconds in record.stages}
        self._write(fields)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
