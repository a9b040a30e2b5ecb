"""Answers that are odd and right: they are delivered as they are, by the first target (R5, S15)."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from domain.delta import Usage
from tests.faults.behaviours import BIG_TEXT
from tests.faults.exchange import UNICODE_TEXT
from tests.faults.harness import bench
from tests.redis_server import RedisServer
from tests.service import until


@pytest.mark.parametrize("kind", ["ok", "no-done", "no-done-cut", "no-done-open", "dressed", "plain", "no-usage"])
async def test_an_odd_answer_is_an_answer_r5(upstream: str, tmp_path: Path, kind: str) -> None:
    async with bench(upstream, tmp_path, f"odd--{kind}", f"odd-{kind}--ok") as one:
        got = await one.ask()
        assert (got.text.split()[-1], got.finishes, got.done, got.error) == ("tok60", ["stop"], True, None)
        assert len(got.usages) == (0 if kind == "no-usage" else 1)
        assert await one.calls(f"odd--{kind}", f"odd-{kind}--ok") == [1, 0]
        waited = await one.hangups(f"odd--{kind}", count=kind == "no-done-open")
        assert all(0.9 <= seconds < 3.0 for seconds in waited)  # for an end mark a second, and no more


@pytest.mark.parametrize("redis", [False, True])
async def test_numbers_beyond_all_bounds_hurt_nobody(upstream: str, tmp_path: Path, redis: bool) -> None:
    """R4: a count of tokens is cut to size, a place that no list has is no answer; later streams go on as ever."""
    with RedisServer() if redis else contextlib.nullcontext() as server:
        environ = {"RATE_LIMIT_ENABLED": "false"} | ({"REDIS_URL": server.url} if server is not None else {})
        counts, index = f"odd-{redis}--huge-counts", f"odd-{redis}--huge-index"
        async with bench(upstream, tmp_path, counts, index, **environ) as one, asyncio.timeout(20):
            got = await one.ask(model=f"openai/{counts}")
            assert (got.text.split()[-1], got.finishes, got.done, got.error) == ("tok60", ["stop"], True, None)
            await until(lambda: bool(one.service.recorder.records))
            assert one.service.recorder.records[0].usage == Usage(1 << 24, 0)
            got = await one.ask(model=f"openai/{index}")
            assert (got.status, got.error and got.error["code"]) == (502, "provider_bad_response")
            assert await one.calls(counts, index) == [1, 3]
            assert (await one.ask(model=f"openai/after-{redis}--ok")).whole


async def test_a_reason_that_is_said_twice_is_one_reason(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "odd--finishes-twice") as one:
        body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
        (choice,) = (await one.service.client.post("/v1/chat/completions", json=body)).json()["choices"]
        assert choice["finish_reason"] == "stop"
        assert await one.calls("odd--finishes-twice") == [1]


async def test_any_text_split_at_every_byte_is_whole_s15(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "odd--unicode") as one:
        got = await one.ask()
        assert got.text == UNICODE_TEXT + "\ud83d\ude00"
        assert got.done
        assert await one.calls("odd--unicode") == [1]
        await one.hangups("odd--unicode", 0)


async def test_an_event_of_a_megabyte_is_whole(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "odd--big-event") as one:
        got = await one.ask()
        assert got.text == "x" * BIG_TEXT
        assert got.done
        assert await one.calls("odd--big-event") == [1]
        await one.hangups("odd--big-event", 0)
