"""Clients that leave: the upstream is hung up on within a second, and its breaker is not told (R8, S7)."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.faults.harness import Bench, bench
from tests.service import until

BODY = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}


async def leave(one: Bench, model: str, *, stream: bool) -> None:
    """Asks, and leaves as soon as the upstream is at work and, of a stream, has said something."""
    async with httpx.AsyncClient(base_url=one.service.url, timeout=20) as client:
        call = asyncio.create_task(_read(client, stream=stream, until_text=model.endswith("ok-slow")))
        async with asyncio.timeout(5):
            # Who has read what it waited for has left by then, and nothing may be open any more.
            while not (call.done() or (await one.saw(model))["open"]):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.01)
        if stream and model.endswith("ok-slow"):
            await call
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


async def _read(client: httpx.AsyncClient, *, stream: bool, until_text: bool) -> None:
    async with client.stream("POST", "/v1/chat/completions", json={**BODY, "stream": stream}) as response:
        async for text in response.aiter_text():
            if until_text and "tok3" in text:
                return


@pytest.mark.parametrize(
    ("kind", "stream"), [("silent", True), ("ok-slow", True), ("ok-slow", False)], ids=["before", "midway", "plain"]
)
async def test_the_upstream_is_hung_up_on_within_a_second_r8_s7(
    upstream: str, tmp_path: Path, kind: str, stream: bool
) -> None:
    model = f"left-{stream}--{kind}"
    async with bench(upstream, tmp_path, model, CB_FAILURE_THRESHOLD="1", STREAM_FIRST_EVENT_TIMEOUT="10") as one:
        loop = asyncio.get_running_loop()
        await leave(one, model, stream=stream)
        left = loop.time()
        async with asyncio.timeout(5):
            while (await one.saw(model))["open"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert loop.time() - left < 1.0
        saw = await one.saw(model)
        assert (saw["requests"], len(saw["hangups"])) == (1, 1)
        await until(lambda: len(one.service.container.generations()) == 0)
        assert one.service.container.breaker_board().state(f"openai/{model}") is None
