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
    async with bench(upstream, tmp_path, model, CB_FAILURE_THRESHOLD="1", STREAM_FIRST_EVENT_TIMEOUT_LAST="10") as one:
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


async def test_who_leaves_in_the_pause_before_a_retry_ends_it_r8_r1(upstream: str, tmp_path: Path) -> None:
    """Nothing more is asked for nobody, and what was counted before is no failure more."""
    model = "left-in-pause--429-long"
    async with bench(upstream, tmp_path, model, CB_FAILURE_THRESHOLD="2", RETRY_MAX_DELAY="60") as one:
        async with httpx.AsyncClient(base_url=one.service.url, timeout=20) as client:
            call = asyncio.create_task(_read(client, stream=True, until_text=False))
            async with asyncio.timeout(5):
                while len((await one.saw(model))["sent"]) < 1:  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.01)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await until(lambda: len(one.service.container.generations()) == 0)
        saw = await one.saw(model)
        assert (saw["requests"], saw["open"], saw["hangups"]) == (1, 0, [])
        assert one.service.container.breakers().reports([f"openai/{model}"])[0].failures == 1


async def test_who_leaves_in_the_middle_of_a_rescue_has_the_rescuer_hung_up_on_r8_s7(
    upstream: str, tmp_path: Path
) -> None:
    first, second = "left-in-rescue--cut-40", "left-by-rescue--ok-slow"
    async with bench(upstream, tmp_path, first, second, CB_FAILURE_THRESHOLD="2") as one:
        async with (
            httpx.AsyncClient(base_url=one.service.url, timeout=20) as client,
            client.stream("POST", "/v1/chat/completions", json={**BODY, "stream": True}) as response,
        ):
            async for text in response.aiter_text():
                if "tok45" in text:
                    break
        left = asyncio.get_running_loop().time()
        (waited,) = await one.hangups(second, 1)
        assert asyncio.get_running_loop().time() - left < 1.0
        assert waited < 1.5
        assert await one.calls(first, second) == [1, 1]
        await until(lambda: len(one.service.container.generations()) == 0)
        reports = one.service.container.breakers().reports([f"openai/{first}", f"openai/{second}"])
        assert [(report.phase, report.failures) for report in reports] == [("closed", 1), ("closed", 0)]
