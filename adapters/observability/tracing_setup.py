"""Whether requests are traced, and where their spans go: the standard OTEL_ names of the environment decide.

What else these names say (headers, timeouts, sampling, batches) the OpenTelemetry SDK reads itself.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from domain.errors import ConfigurationError
from ports.clock import Clock
from ports.recorder import Recorder

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"


class TracingRecorder(Recorder, Protocol):
    """A recorder that has something left to send at the end. Its class cannot be named where the extra is missing."""

    @abstractmethod
    def close(self) -> None:
        """Sends what is left, and blocks for that, 30 s at most."""


def tracing_recorder(environ: Mapping[str, str], clock: Clock, addresses: Mapping[str, str]) -> TracingRecorder | None:
    """The recorder that makes spans; None unless an endpoint is set. Starts the thread that sends them.

    Raises `ConfigurationError` if the extra is not installed, or a protocol is asked for that is not spoken.
    """
    endpoint = next((name for name in ENDPOINTS if environ.get(name)), None)
    if endpoint is None or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    protocol = next((name for name in PROTOCOLS if environ.get(name)), None)
    if protocol is not None and environ[protocol] != PROTOCOL:
        raise ConfigurationError(f"{protocol}: got another protocol; takes {PROTOCOL}")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from adapters.observability.tracing import OpenTelemetryRecorder
    except ImportError as error:
        raise ConfigurationError(
            f"{endpoint}: got an address, but tracing is not installed; pip install 'headgate[otel]', or leave it unset"
        ) from error
    # The environment has the last word: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.
    resource = Resource({"service.name": "headgate"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)  # `close` is called, with a deadline
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetryRecorder(provider, clock, addresses)
