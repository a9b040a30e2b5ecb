"""A service that traces: its spans reach a collector over OTLP, before it ends; a dead collector holds nothing up."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.service import process

PLANTED = "sk-proj-" + "Zq8xWv5nT2rYkL0pB7" * 3


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP collector: its address, and the bodies that it was sent."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Is silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            serving.join()


def test_spans_reach_the_collector_before_the_service_ends() -> None:
    """P1: with a secret in the prompt and the model's name."""
    with collector() as (address, bodies):
        # An hour between batches: what arrives was sent because the service ended.
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
        with process(environ) as (service, url):
            for model in ("demo/nothing-there", f"demo/{PLANTED}"):
                httpx.post(f"{url}/v1/streams", json={"model": model, "prompt": PLANTED}, timeout=20)
            service.terminate()
            assert service.wait(20) == 0
    sent = ExportTraceServiceRequest.FromString(b"".join(bodies))
    (resource,) = sent.resource_spans
    names = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert names[0] == "chat demo/nothing-there"
    assert len(names) == 2
    assert PLANTED.encode() not in b"".join(bodies)


def test_a_dead_collector_holds_nothing_up() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with process(environ) as (service, url):
        asked = {"model": "demo/nothing-there", "prompt": "hello"}
        assert httpx.post(f"{url}/v1/streams", json=asked, timeout=20).status_code in {404, 502}
        service.terminate()
        assert service.wait(15) == 0
