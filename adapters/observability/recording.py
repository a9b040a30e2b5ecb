"""What becomes of a finished request's record, as the settings want it."""

import os
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from adapters.observability.exposition import DIRECTORY, shared_directory
from adapters.observability.metrics import PrometheusRecorder
from adapters.observability.recorder import StructlogRecorder
from adapters.observability.recorders import FanOutRecorder
from adapters.observability.tracing_setup import TracingRecorder, tracing_recorder
from adapters.settings import Settings
from ports.clock import Clock
from ports.defects import Defects
from ports.recorder import Recorder


def metrics_registry_of() -> CollectorRegistry:
    """Where this process counts."""
    shared_directory(os.environ.get(DIRECTORY))  # before the first metric opens a file in it
    return CollectorRegistry()


def tracing_of(settings: Settings, clock: Clock) -> TracingRecorder | None:
    """The exporter of traces, if the environment names a collector."""
    urls = {name: urlsplit(row.base_url or "").hostname for name, row in settings.providers.items()}
    return tracing_recorder(os.environ, clock, {name: host for name, host in urls.items() if host})


def recorder_of(
    settings: Settings, registry: CollectorRegistry, tracing: Recorder | None, defects: Defects
) -> Recorder:
    """All that a finished request is told to: the log, the metrics, and traces if there are any."""
    recorders = [StructlogRecorder(), PrometheusRecorder(registry, settings.routes, set(settings.routed))]
    return FanOutRecorder(recorders if tracing is None else [*recorders, tracing], defects)
