"""Spans: one a request, with the GenAI conventions' names, nothing secret in them, off unless configured."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from adapters.memory.manual_clock import ManualClock
from adapters.observability.tracing import OpenTelemetryRecorder
from adapters.observability.tracing_setup import tracing_recorder
from domain.errors import ConfigurationError
from domain.model import Outcome, RequestRecord
from tests.adapters.records import CANCELLED, FAILED, HIT, REFUSED, SERVED

NOW = 1_700_000_000_000_000_000
OTEL = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


def span_of(record: RequestRecord) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    recorder = OpenTelemetryRecorder(provider, ManualClock(), {"local": "llm.internal"})
    with closing(recorder):
        recorder.record(record)
        (span,) = exporter.get_finished_spans()
        return span


def test_a_served_request_is_one_span_with_the_conventions_names() -> None:
    span = span_of(SERVED)
    assert span.name == "chat fast"
    assert span.kind is SpanKind.CLIENT
    assert span.parent is None
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "local",
        "gen_ai.system": "local",
        "gen_ai.request.model": "fast",
        "gen_ai.response.model": "llama-3",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 34,
        "server.address": "llm.internal",
        "headgate.thread_id": "t_1",
        "headgate.stream_id": "s_1",
        "headgate.door": "openai",
        "headgate.outcome": "served",
        "headgate.cache": "miss",
        "headgate.attempts": 1,
        "headgate.rescues": 0,
    }
    assert span.status.status_code is StatusCode.UNSET


def test_its_times_are_computed_back_from_its_end() -> None:
    span = span_of(SERVED)
    assert (span.start_time, span.end_time) == (NOW - 2_000_000_000, NOW)
    (event,) = span.events
    assert (event.name, event.timestamp) == ("first_token", NOW - 1_700_000_000)


def test_a_failure_has_its_code_and_no_event_that_did_not_happen() -> None:
    span = span_of(FAILED)
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "provider_timeout"
    assert (span.attributes or {})["error.type"] == "provider_timeout"
    assert not span.events
    assert (span_of(FAILED._replace(outcome=Outcome.EXPIRED, code=None)).attributes or {})["error.type"] == "expired"


def test_a_request_that_reached_no_provider_names_none() -> None:
    for record in (HIT, REFUSED):
        names = set(span_of(record).attributes or {})
        assert not names & {
            "gen_ai.provider.name",
            "gen_ai.response.model",
            "server.address",
            "gen_ai.usage.input_tokens",
        }
    assert (span_of(REFUSED).attributes or {})["error.type"] == "rate_limit_exceeded"


def test_to_be_cancelled_is_no_error() -> None:
    span = span_of(CANCELLED)
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in (span.attributes or {})


def test_a_provider_has_the_name_that_the_conventions_give_it_and_no_unknown_address() -> None:
    attributes = span_of(SERVED._replace(target="gemini/gemini-2.5-pro")).attributes or {}
    assert attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert "server.address" not in attributes


def test_nothing_that_a_caller_wrote_reaches_a_span_unredacted() -> None:
    """P1: a secret in a model name or a thread id; and the tenant, which may be an address, is not there at all."""
    key = "sk-proj-" + "Zq8xWv5nT2rYkL0pB7" * 3
    span = span_of(SERVED._replace(model=f"local/{key}", target=f"local/{key}", thread_id="jane.doe@example.org"))
    written = span.to_json()
    for planted in (key, "jane.doe@example.org", SERVED.tenant):
        assert planted not in written


@contextmanager
def configured(environ: dict[str, str]) -> Iterator[OpenTelemetryRecorder]:
    recorder = tracing_recorder(environ, ManualClock(), {})
    assert isinstance(recorder, OpenTelemetryRecorder)
    with closing(recorder):
        yield recorder


def test_it_is_off_unless_an_endpoint_is_set() -> None:
    for environ in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, {**OTEL, "OTEL_SDK_DISABLED": "true"}):
        assert tracing_recorder(environ, ManualClock(), {}) is None


def test_an_endpoint_turns_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    with configured({**OTEL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}) as recorder:
        assert recorder._provider.resource.attributes["service.name"] == "headgate"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "front-door")
    with configured({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}) as recorder:
        assert recorder._provider.resource.attributes["service.name"] == "front-door"


def test_a_protocol_that_is_not_spoken_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"OTEL_EXPORTER_OTLP_PROTOCOL: .*takes http/protobuf"):
        tracing_recorder({**OTEL, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ManualClock(), {})


def test_without_the_extra_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT: .*pip install 'headgate\[otel\]'"):
        tracing_recorder(OTEL, ManualClock(), {})
