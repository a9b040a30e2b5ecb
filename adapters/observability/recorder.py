"""The canonical log line: one for each request, with all that is worth knowing about it."""

from collections.abc import Callable
from functools import cached_property

from adapters.observability.logging import get_logger
from domain.model import RequestRecord
from ports.recorder import Recorder


class StructlogRecorder(Recorder):
    """Writes each record as one `request` line."""

    @cached_property
    def _info(self) -> Callable[..., None]:
        # At the first record, when logging is configured, and once: structlog's own proxy binds anew each time.
        return get_logger("headgate.request").bind().info

    def record(self, record: RequestRecord) -> None:
        """One line."""
        usage = record.usage
        self._info(
            "request",
            thread_id=record.thread_id,
            stream_id=record.stream_id,
            tenant=record.tenant,
            door=record.door.value,
            route=record.model,
            target=record.target,
            outcome=record.outcome.value,
            code=record.code,
            cache=record.cache.value,
            attempts=record.attempts,
            rescues=record.rescues,
            prompt_tokens=None if usage is None else usage.prompt_tokens,
            completion_tokens=None if usage is None else usage.completion_tokens,
            first_event_ms=_milliseconds(record.first_event_seconds),
            total_ms=_milliseconds(record.total_seconds),
            **(
                {"stages_ms": {name: _milliseconds(seconds) for name, seconds in record.stages}}
                if record.stages
                else {}
            ),
        )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
