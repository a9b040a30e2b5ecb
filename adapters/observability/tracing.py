"""OpenTelemetry spans: one for each finished request, made from its record. Needs the extra `headgate[otel]`.

The names are those of the GenAI semantic conventions; what they have no name for begins with `headgate.`. A span holds
no prompt, no answer and no tenant, and what a caller may write (the model, the thread id) passes redaction (P1).
"""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from adapters.observability.redaction import Redactor
from domain.model import Outcome, RequestRecord
from ports.clock import Clock
from ports.recorder import Recorder

OPERATION = "chat"
FIRST_EVENT = "first_token"
"""The event at which the first token came."""
WELL_KNOWN: Mapping[str, str] = {"gemini": "gcp.gemini"}
"""Names of providers that the conventions spell in another way than our settings."""
NANOSECONDS = 1_000_000_000

_NO_PARENT = Context()
_NOT_ERRORS = (Outcome.SERVED, Outcome.CANCELLED)


class OpenTelemetryRecorder(Recorder):
    """Makes spans with `provider`, which it closes. `addresses` are the hosts of the providers, by their names."""

    def __init__(self, provider: TracerProvider, clock: Clock, addresses: Mapping[str, str]) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("headgate")
        self._clock = clock
        self._addresses = addresses
        self._redacted = Redactor().text

    def record(self, record: RequestRecord) -> None:
        """One span that ends now and began `total_seconds` ago."""
        end = self._clock.time()
        start = end - record.total_seconds
        model = self._redacted(record.model)
        span = self._tracer.start_span(
            f"{OPERATION} {model}",
            _NO_PARENT,
            SpanKind.CLIENT,
            {"gen_ai.request.model": model, **self._attributes(record)},
            start_time=_nanoseconds(start),
        )
        if record.first_event_seconds is not None:
            span.add_event(FIRST_EVENT, timestamp=_nanoseconds(start + record.first_event_seconds))
        if record.outcome not in _NOT_ERRORS:
            span.set_status(Status(StatusCode.ERROR, record.code))
        span.end(_nanoseconds(end))

    def close(self) -> None:
        """Sends what is left, and blocks for that: 30 s at most, as the SDK has it."""
        self._provider.shutdown()

    def _attributes(self, record: RequestRecord) -> dict[str, AttributeValue]:
        known: dict[str, AttributeValue | None] = {
            "gen_ai.operation.name": OPERATION,
            "error.type": None if record.outcome in _NOT_ERRORS else record.code or record.outcome.value,
            "headgate.thread_id": self._redacted(record.thread_id),
            "headgate.stream_id": record.stream_id or None,
            "headgate.door": record.door.value,
            "headgate.outcome": record.outcome.value,
            "headgate.cache": record.cache.value,
            "headgate.attempts": record.attempts,
            "headgate.rescues": record.rescues,
        }
        if record.target is not None:
            provider, _, model = record.target.partition("/")
            name = WELL_KNOWN.get(provider, provider)
            known["gen_ai.provider.name"] = name
            known["gen_ai.system"] = name  # its name until version 1.37 of the conventions, which many still read
            known["gen_ai.response.model"] = self._redacted(model)
            known["server.address"] = self._addresses.get(provider)
        if record.usage is not None:
            known["gen_ai.usage.input_tokens"] = record.usage.prompt_tokens
            known["gen_ai.usage.output_tokens"] = record.usage.completion_tokens
        return {key: value for key, value in known.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
