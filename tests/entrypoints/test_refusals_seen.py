"""Every refusal of a running service is counted once, and leaves a line without what was sent (G9)."""

import json
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from adapters.memory.clock import SystemClock
from adapters.observability.refusals import LoggedRefusals
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import ProviderRequestError
from ports.refusals import Refusals
from tests.entrypoints.demo_service import ANSWER, SCRIPTS
from tests.service import JSON, process, running

SECRET = "sk-planted-4f9d8a7b6c5e"
PROMPT = {"model": "demo/fast", "prompt": "hi"}
CHAT = {"model": "demo/fast", "messages": [{"role": "user", "content": "hi"}]}
Told = tuple[str, str, int | None]


class ListedRefusals(Refusals):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def refuse(self, door: str, code: str, status: int | None = None) -> None:
        """Keeps it."""
        self.told.append((str(door), code, status))


def provider() -> DemoProvider:
    refuses = Script(text_pieces(ANSWER), error=ProviderRequestError, error_at=0)
    return DemoProvider("demo", SystemClock(), {**SCRIPTS, "refuses": refuses})


REFUSED = "provider_rejected_request"
# Method, path, JSON, headers; what is told of it.
ROWS: list[tuple[str, str, object, dict[str, str], Told | None]] = [
    ("GET", "/v1/models", None, {}, None),
    ("POST", "/v1/streams", PROMPT, {}, None),
    ("POST", "/v1/chat/completions", CHAT, {}, None),
    ("OPTIONS", "/v1/streams", None, {}, None),
    ("GET", "/nothing", None, {}, ("other", "not_found", 404)),
    ("PUT", "/v1/streams", None, {}, ("native", "method_not_allowed", 405)),
    ("PUT", "/v1/models", None, {}, ("chat", "method_not_allowed", 405)),
    ("PUT", "/readyz", None, {}, ("operator", "method_not_allowed", 405)),
    ("HEAD", "/v1/streams/x", None, {}, ("native", "not_found", 404)),
    ("DELETE", "/v1/streams/x", None, {}, ("native", "not_found", 404)),
    ("GET", "/v1/threads/x/execution", None, {}, ("operator", "execution_not_found", 404)),
    ("POST", "/v1/providers/x/y/breaker", {}, {}, ("operator", "model_not_found", 404)),
    ("POST", "/v1/streams", [], {}, ("native", "invalid_json", 400)),
    ("POST", "/v1/chat/completions", {}, {}, ("chat", "missing_parameter", 400)),
    ("POST", "/v1/chat/completions", CHAT, {"Host": "evil.example"}, ("chat", "misdirected_request", 421)),
    ("POST", "/v1/streams", PROMPT, {"Origin": "null"}, ("native", "forbidden_origin", 403)),
    ("POST", "/v1/streams", {"prompt": "x", "model": "demo/refuses"}, {}, ("native", REFUSED, 400)),
    (
        "POST",
        "/v1/chat/completions",
        {**CHAT, "model": "demo/refuses", "stream": True},
        {},
        ("chat", REFUSED, 400),
    ),
    ("POST", "/v1/chat/completions", {**CHAT, "model": "demo/refuses"}, {}, ("chat", REFUSED, 400)),
]


async def test_each_refusal_is_told_once_and_nothing_else_is() -> None:
    refusals = ListedRefusals()
    async with running(llm={"demo": provider()}, refusals=refusals) as service:
        for method, path, content, headers, told in ROWS:
            refusals.told.clear()
            answer = await service.client.request(method, path, json=content, headers=headers)
            assert refusals.told == ([] if told is None else [told]), (method, path)
            assert answer.status_code == (told[2] if told else answer.status_code)
            assert answer.is_success is (told is None)


async def test_a_limit_a_drain_and_a_defect_are_refusals_too(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = ListedRefusals()
    async with running({"RATE_LIMIT_REQUESTS_PER_MINUTE": "1"}, llm={"demo": provider()}, refusals=refusals) as service:
        for path, body in (("/v1/streams", PROMPT), ("/v1/chat/completions", {**CHAT, "user": "x", "seed": 1})):
            await service.client.post(path, json=body, headers={"Cache-Control": "no-cache"})
        assert refusals.told == [("chat", "rate_limit_exceeded", 429)]
        service.container.stream_service().drain()
        await service.client.post("/v1/streams", json=PROMPT)
        assert refusals.told[-1] == ("native", "server_draining", 503)
        assert (await service.client.get("/readyz")).status_code == 503
        assert len(refusals.told) == 2  # a probe got the answer that it asked for
        breaks = RuntimeError("planted")

        def broken(*_: object) -> None:
            raise breaks

        monkeypatch.setattr(service.container.tracker(), "get_stage_statistics", broken)
        defect = await service.client.get("/v1/stages")
        assert defect.status_code == 500
        assert refusals.told[2:] == [("operator", "internal_error", 500)]


async def test_the_metric_is_in_the_scrape() -> None:
    registry = CollectorRegistry()
    counted = LoggedRefusals(registry, SystemClock())
    async with running(metrics_registry=registry, refusals=counted) as service:
        for _ in range(3):
            await service.client.post("/v1/streams", content=b"{", headers=JSON)
        scrape = (await service.client.get("/metrics")).text
        assert 'headgate_refusals_total{code="invalid_json",door="native"} 3.0' in scrape


def test_a_flood_leaves_ten_lines_a_second_and_nothing_of_what_was_sent(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("w") as log,
        process({"LOG_FORMAT": "json"}, log) as (_, url),
        httpx.Client(base_url=url) as client,
    ):
        for _ in range(300):
            client.post("/v1/streams", content=f'{{"{SECRET}'.encode(), headers=JSON)
        client.get(f"/{SECRET}?{SECRET}={SECRET}", headers={"X-Thread-ID": "mine", "X-Other": SECRET})
        scrape = client.get("/metrics").text
    written = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in written.splitlines() if '"refused"' in line]
    flood = [line for line in lines if line["code"] == "invalid_json"]
    assert 'headgate_refusals_total{code="invalid_json",door="native"} 300.0' in scrape
    assert 10 <= len(flood) < 300
    assert len({line["timestamp"][:19] for line in flood}) * 20 >= len(flood)
    (mine,) = [line for line in lines if line["code"] == "not_found"]
    assert (mine["door"], mine["status"], mine["thread_id"], mine["suppressed"]) == ("other", 404, "mine", 0)
    assert SECRET not in written
