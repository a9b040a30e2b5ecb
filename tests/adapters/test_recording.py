"""What a finished request is told to, as the settings and the environment want it."""

import pytest

from adapters.memory.defects import MemoryDefects
from adapters.memory.manual_clock import ManualClock
from adapters.observability.recording import metrics_registry_of, recorder_of, tracing_of
from adapters.settings import get_settings


def test_records_go_to_the_log_and_the_metrics_and_to_traces_where_there_is_a_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = get_settings({})
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    assert tracing_of(settings, ManualClock()) is None
    recorder = recorder_of(settings, metrics_registry_of(), None, MemoryDefects())
    assert str(recorder) == "StructlogRecorder, PrometheusRecorder"
