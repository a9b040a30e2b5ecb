"""An answer above a bound is told as final: to ask again would be paid for and end the same (G11, BAD_INPUT 55)."""

import json
from pathlib import Path

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.stream_log import MemoryStreamLog
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script
from domain.delta import Delta
from tests.event_source import parse
from tests.faults.harness import Bench, bench
from tests.service import running

PATIENT = {
    "STREAM_FIRST_EVENT_TIMEOUT": "20",
    "STREAM_FIRST_EVENT_TIMEOUT_LAST": "20",
    "STREAM_IDLE_TIMEOUT": "20",
    "STREAM_MAX_ANSWER_BYTES": "16777216",
    "RATE_LIMIT_TOKENS_PER_MINUTE": "1000000000",
}
ASK = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}


async def plain(one: Bench) -> tuple[int, str, str]:
    """Status, retry header and code of a plain call."""
    answer = await one.service.client.post("/v1/chat/completions", json=ASK)
    return answer.status_code, answer.headers["x-should-retry"], answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("huge-answer", {"answer_too_long", "provider_answer_too_large"}),
        ("huge-silence", {"provider_answer_too_large"}),
        ("huge-json", {"provider_answer_too_large"}),
    ],
)
async def test_g11_an_answer_above_the_bound_is_a_502_that_nobody_should_repeat_55(
    upstream: str, tmp_path: Path, fault: str, codes: set[str]
) -> None:
    model = f"bound--{fault}"
    async with bench(upstream, tmp_path, model, **PATIENT) as one:
        status, retry, code = await plain(one)
        assert (status, retry) == (502, "false")
        assert code in codes
        assert await one.calls(model) == [1]
        assert one.service.container.breaker_board().state(f"openai/{model}") is None
        native = await one.service.client.post("/v1/streams", json={"model": "fast", "prompt": "again"})
        if fault == "huge-answer":  # after its first events
            assert native.status_code == 200, native.text[-1000:]
            last = list(parse(native.content))[-1]
            assert (last.event, json.loads(last.data)["retryable"]) == ("error", False)
            assert json.loads(last.data)["code"] in codes
        else:
            assert (native.status_code, native.json()["retryable"]) == (502, False)
            assert native.headers["x-should-retry"] == "false"


async def test_another_target_may_be_shorter_g11(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "other--huge-silence", "other--ok", **PATIENT) as one:
        assert (await one.ask()).whole
        assert await one.calls("other--huge-silence", "other--ok") == [1, 1]


LONG = DemoProvider("demo", SystemClock(), {"long": Script((Delta("x" * 1000),) * 40), "short": Script((Delta("x"),))})


@pytest.mark.parametrize("stream", [True, False])
async def test_g11_longer_than_a_stream_may_be_is_final_and_a_full_log_is_not_55(stream: bool) -> None:
    body = {"model": "demo/long", "messages": ASK["messages"], "stream": stream}
    log = MemoryStreamLog(SystemClock(), max_bytes=10**8, max_stream_bytes=20_000)
    async with running(llm={"demo": LONG}, stream_log=log) as service:
        answer = await service.client.post("/v1/chat/completions", json=body)
        if stream:
            assert answer.status_code == 200
            assert b"answer_too_long" in answer.content
            assert b"[DONE]" not in answer.content
        else:
            told = (answer.status_code, answer.headers["x-should-retry"], answer.json()["error"]["code"])
            assert told == (502, "false", "answer_too_long")
        native = await service.client.post("/v1/streams", json={"model": "demo/long", "prompt": "x"})
        last = list(parse(native.content))[-1]
        assert last.event == "error"
        error = json.loads(last.data)
        assert (error["code"], error["retryable"]) == ("answer_too_long", False)
    full = MemoryStreamLog(SystemClock(), max_bytes=1)
    async with running(llm={"demo": LONG}, stream_log=full) as service:
        refused = await service.client.post("/v1/chat/completions", json={**body, "model": "demo/short"})
        told = (refused.status_code, refused.headers["x-should-retry"], refused.json()["error"]["code"])
        assert told == (503, "true", "stream_log_full")
