"""Plain calls, which are not streamed: the same faults, and one whole JSON or one error (R1, R4, R6, R7)."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.harness import WHOLE, Bench, bench

RESCUED = ("cut-40", "stall-20", "broken-json", "error-midway", "no-finish")


async def ask(one: Bench) -> httpx.Response:
    """A plain answer of the route."""
    body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
    return await one.service.client.post("/v1/chat/completions", json=body)


def check(answer: dict[str, Any], prompt: int) -> None:
    """One answer, one reason, one usage: that of the target that finished it."""
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": WHOLE}
    assert choice["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": prompt, "completion_tokens": 69 - prompt, "total_tokens": 69}


@pytest.mark.parametrize(
    ("fault", "attempts", "prompt"),
    [
        ("429-once", 2, 9),
        ("429-long", 1, 9),
        ("500-once", 2, 9),
        ("503-bare", 3, 9),
        ("reset", 1, 9),
        ("silent", 1, 9),
        ("late", 1, 9),
        ("401", 1, 9),
        ("html", 3, 9),
        ("gzip", 3, 9),
        ("redirect", 3, 9),
        ("cut-40", 1, 49),
        ("no-finish", 1, 69),
        ("stall-20", 1, 29),
        ("broken-json", 1, 29),
        ("error-midway", 1, 29),
        ("error-first", 1, 9),
    ],
)
async def test_a_plain_call_gets_the_whole_answer_all_the_same_r1_r6(
    upstream: str, tmp_path: Path, fault: str, attempts: int, prompt: int
) -> None:
    """Fault 30 to 35."""
    first, second = f"plain--{fault}", f"plain-{fault}--ok"
    async with bench(upstream, tmp_path, first, second) as one:
        response = await ask(one)
        assert response.status_code == 200
        check(response.json(), prompt)
        heals = fault.endswith("once")
        assert response.headers["x-target"] == f"openai/{first if heals else second}"
        assert await one.calls(first, second) == [attempts, 0 if heals else 1]
        saw = await one.saw(first)
        assert saw["open"] == 0
        if fault in {"silent", "late", "stall-20"}:
            assert all(0.5 <= seconds < 2.0 for seconds in saw["hangups"])
        record = one.service.recorder.find(response.headers["x-thread-id"])
        assert record is not None
        assert (record.attempts, record.rescues) == (attempts + (not heals), int(fault in (*RESCUED, "error-first")))


@pytest.mark.parametrize(
    ("fault", "status", "code", "attempts"),
    [
        ("429-bare", 429, "provider_rate_limited", 3),
        ("silent", 504, "provider_timeout", 1),
        ("400", 400, "context_length_exceeded", 1),
        ("cut-40", 502, "upstream_truncated", 2),
        ("no-finish", 502, "upstream_truncated", 2),
        ("stall-20", 504, "provider_timeout", 1),
        ("broken-json", 502, "provider_bad_response", 2),
        ("error-midway", 502, "provider_unavailable", 2),
    ],
)
async def test_a_plain_call_is_never_half_an_answer_r4(
    upstream: str, tmp_path: Path, fault: str, status: int, code: str, attempts: int
) -> None:
    """Fault 31 to 33, 35; K1: nothing of it is kept."""
    model = f"plain-alone--{fault}"
    async with bench(upstream, tmp_path, model) as one:
        for number in (1, 2):
            response = await ask(one)
            assert (response.status_code, response.json()["error"]["code"]) == (status, code)
            assert "tok" not in response.text
            assert await one.calls(model) == [number * attempts]
        assert (await one.saw(model))["open"] == 0
