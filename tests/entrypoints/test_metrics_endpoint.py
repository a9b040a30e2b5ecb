"""`GET /metrics` of a running service: what it counts, what it reads, and what it never shows."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from adapters.memory.clock import SystemClock
from adapters.memory.recorder import MemoryRecorder
from adapters.observability.metrics import PrometheusRecorder
from adapters.observability.recorders import FanOutRecorder
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script, text_pieces
from adapters.settings import get_settings
from container import Container
from tests.entrypoints.demo_service import ANSWER
from tests.service import Running, process, running

PROVIDER = {
    "demo": DemoProvider(
        "demo",
        SystemClock(),
        {
            "demo": Script(text_pieces(ANSWER), delay=0.002),
            "endless": Script(text_pieces("x " * 100_000), delay=0.01),
        },
    )
}
PLANTED = "sk-proj-" + "Zq8xWv5nT2rYkL0pB7" * 3


def metered(environ: Mapping[str, str] | None = None) -> AbstractAsyncContextManager[Running]:
    """A service with the recorder that the container makes, but for the log: `running` puts another in its place."""
    registry = CollectorRegistry()
    recorder = PrometheusRecorder(registry, {"demo"}, {"demo/demo"})
    return running(
        environ, PROVIDER, metrics_registry=registry, recorder=FanOutRecorder([recorder, MemoryRecorder(10)])
    )


def values(body: str) -> dict[str, float]:
    return {
        "/".join((sample.name, *(value for _, value in sorted(sample.labels.items())))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


async def scraped(service: Running) -> dict[str, float]:
    return values((await service.client.get("/metrics")).text)


async def test_requests_are_counted_from_both_doors_and_hits_as_hits() -> None:
    async with metered() as service:
        chat = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}
        assert (await service.client.post("/v1/chat/completions", json=chat)).is_success
        await service.until_idle()
        assert (await service.client.post("/v1/streams", json={"model": "demo", "prompt": "hello"})).is_success
        await service.until_idle()
        response = await service.client.get("/metrics")
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        seen = values(response.text)
        assert seen["headgate_requests_total/openai/served/demo"] == 1
        assert seen["headgate_requests_total/native/served/demo"] == 1
        assert seen["headgate_cache_requests_total/hit-l1"] + seen["headgate_cache_requests_total/miss"] == 2
        assert seen["headgate_upstream_attempts_total/ok/demo/demo"] >= 1
        assert seen["headgate_time_to_first_event_seconds_count/demo"] >= 1
        assert seen["headgate_event_gap_seconds_count/demo"] >= 5
        assert seen["headgate_cache_entries"] >= 1
        assert seen["headgate_stream_log_streams"] == 2
        assert seen["headgate_stream_log_bytes"] > 0
        assert seen["headgate_limiter_callers"] == 1


async def test_gauges_show_what_is_going_on_now() -> None:
    async with metered({"STREAM_MAX_CONCURRENT": "1"}) as service:
        aside = {"Prefer": "respond-async"}
        going = await service.client.post("/v1/streams", json={"model": "demo/endless", "prompt": "1"}, headers=aside)
        waiting = await service.client.post("/v1/streams", json={"model": "demo/endless", "prompt": "2"}, headers=aside)
        seen = await scraped(service)
        assert seen["headgate_open_generations"] == 2
        assert seen["headgate_slots_in_use"] == 1
        assert seen["headgate_queue_depth"] == 1
        assert seen["headgate_open_breakers"] == 0
        for response in (waiting, going):
            await service.client.delete(response.headers["location"])
        await service.until_idle()
        seen = await scraped(service)
        assert seen["headgate_open_generations"] == seen["headgate_slots_in_use"] == seen["headgate_queue_depth"] == 0
        assert seen["headgate_requests_total/native/cancelled/other"] == 2


async def test_stages_of_sampled_requests_are_shown() -> None:
    async with metered({"EXECUTION_TRACKING_SAMPLE_RATE": "1"}) as service:
        assert (await service.client.post("/v1/streams", json={"model": "demo", "prompt": "hello"})).is_success
        await service.until_idle()
        seen = await scraped(service)
        assert seen["headgate_stage_tracked/5.0_LLM_STREAMING"] == 1
        assert seen["headgate_stage_duration_seconds/0.99/5.0_LLM_STREAMING"] > 0


async def test_a_blocked_event_loop_shows_as_lag_until_it_was_scraped() -> None:
    async with metered() as service:
        asyncio.get_running_loop().call_soon(subprocess.run, [sys.executable, "-c", "import time; time.sleep(0.5)"])
        assert (await scraped(service))["headgate_event_loop_lag_seconds"] >= 0.3
        assert (await scraped(service))["headgate_event_loop_lag_seconds"] < 0.3


async def test_no_prompt_no_secret_and_no_tenant_is_in_it() -> None:
    """P1: planted in the prompt, the model, the thread id and a header; the tenant of an open service is an address."""
    async with metered() as service:
        headers = {"X-Thread-ID": PLANTED, "Authorization": f"Bearer {PLANTED}"}
        for model in ("demo", f"demo/{PLANTED}", PLANTED):
            asked = {"model": model, "prompt": f"my key is {PLANTED}, I am jane.doe@example.org"}
            await service.client.post("/v1/streams", json=asked, headers=headers)
        await service.until_idle()
        body = (await service.client.get("/metrics")).text
        assert values(body)["headgate_requests_total/native/failed/other"] == 1
        for planted in (PLANTED, PLANTED[:20], "jane", "127.0.0.1", "my key"):
            assert planted not in body


async def test_the_container_plugs_the_metrics_in_beside_the_log_line() -> None:
    container = Container(settings=get_settings({}))
    recorder = container.recorder()
    assert isinstance(recorder, FanOutRecorder)
    kinds = [type(one).__name__ for one in recorder._recorders]
    assert kinds == ["StructlogRecorder", "PrometheusRecorder"]
    assert container.tracing() is None


def test_two_services_that_share_a_directory_show_the_sum_of_both(tmp_path: Path) -> None:
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "RATE_LIMIT_REQUESTS_PER_MINUTE": "1"}
    with process(environ) as (_, first), process(environ) as (_, second):
        for url in (first, first, second, second, second):
            httpx.post(f"{url}/v1/streams", json={"model": "demo/nothing-there", "prompt": "hello"}, timeout=20)
        seen = values(httpx.get(f"{first}/metrics").text)
        counted = {name: value for name, value in seen.items() if name.startswith("headgate_requests_total/")}
        assert counted == {
            "headgate_requests_total/native/failed/other": 2,
            "headgate_requests_total/native/rejected_rate/other": 3,
        }
        assert seen["headgate_open_generations"] == 0


def test_a_service_that_cannot_trace_or_count_does_not_start(tmp_path: Path) -> None:
    wrong = (
        {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "missing")},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        },
    )
    for environ in wrong:
        done = subprocess.run(
            [sys.executable, "-m", "entrypoints", "check"],
            env={"PATH": "/usr/bin:/bin", **environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert next(reversed(environ)) in done.stderr
