"""Readers that leave, come back, or cancel; work that goes on without them."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator

import pytest

from adapters.memory.clock import SystemClock
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script
from adapters.providers.openai import OpenAIProvider
from domain.errors import ProviderUnavailableError
from domain.model import Outcome
from tests.entrypoints.demo_service import ANSWER, body, cut_after, demo, text_of
from tests.event_source import EventSourceClient, parse
from tests.service import Running, running, until


async def stopped(service: Running, provider: DemoProvider) -> None:
    """Within a second of now the upstream is closed and nothing runs (S7, R8); a busy machine adds to it."""
    await until(lambda: not provider.open and not len(service.container.generations()), 3.0)


async def test_the_last_reader_leaving_ends_the_work_after_its_grace_s7_r8() -> None:
    provider = demo()
    async with running({"STREAM_ORPHAN_GRACE": "0.3"}, llm={"demo": provider}) as service:
        async with service.client.stream("POST", "/v1/streams", json=body("endless")) as response:
            await cut_after(response, 2)
        await asyncio.sleep(0.1)
        assert provider.open == 1
        await stopped(service, provider)
        (record,) = service.recorder.records
        assert record.outcome is Outcome.CANCELLED
        end = parse((await service.client.get(response.headers["content-location"])).content)[-1]
        assert (end.event, json.loads(end.data)) == ("cancelled", {"reason": "orphaned"})


async def test_a_reader_that_comes_back_within_the_grace_saves_the_work_s7() -> None:
    provider = demo()
    async with running({"STREAM_ORPHAN_GRACE": "0.2"}, llm={"demo": provider}) as service:
        async with service.client.stream("POST", "/v1/streams", json=body("paced")) as response:
            await cut_after(response, 2)
        rest = await service.client.get(response.headers["content-location"])
        assert text_of(parse(rest.content)) == ANSWER


@pytest.mark.parametrize("model", ["silent", "endless"])
@pytest.mark.parametrize("stream", [True, False])
async def test_on_the_openai_door_leaving_is_a_cancel_s7_r8(model: str, stream: bool) -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        chat = {"model": f"demo/{model}", "messages": [{"role": "user", "content": "x"}], "stream": stream}
        asking = asyncio.create_task(service.client.post("/v1/chat/completions", json=chat))
        await until(lambda: provider.open == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await stopped(service, provider)


async def test_a_client_of_any_dialect_can_ask_for_a_grace_s7() -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        chat = {"model": "demo/paced", "messages": [{"role": "user", "content": "x"}], "stream": True}
        async with service.client.stream(
            "POST", "/v1/chat/completions", json=chat, headers={"X-Stream-Grace": "5"}
        ) as response:
            first = await cut_after(response, 2)
        reader = EventSourceClient()
        reader.read(first)
        rest = await service.client.get(
            response.headers["content-location"], headers={"Last-Event-ID": reader.last_event_id}
        )
        assert parse(rest.content)[-1].data == "[DONE]"
        assert provider.calls == 1


async def test_cancel_is_explicit_and_idempotent_s7() -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        started = await service.client.post("/v1/streams", json=body("endless"), headers={"Prefer": "respond-async"})
        assert started.status_code == 202
        location = started.headers["location"]
        following = asyncio.create_task(service.client.get(location))
        await until(lambda: len(service.streams) == 1)
        for _ in range(3):
            assert (await service.client.delete(location)).status_code == 204
        end = parse((await following).content)[-1]
        assert (end.event, json.loads(end.data)) == ("cancelled", {"reason": "requested"})
        await stopped(service, provider)
        assert service.container.breaker_board().state("demo/endless") is None


async def test_respond_async_runs_to_its_end_without_a_reader() -> None:
    async with running({"STREAM_ORPHAN_GRACE": "0"}, llm={"demo": demo()}) as service:
        started = await service.client.post("/v1/streams", json=body("paced"), headers={"Prefer": "respond-async"})
        assert started.json()["stream_id"] == started.headers["x-stream-id"]
        await service.until_idle()
        whole = await service.client.get(started.headers["location"])
        assert text_of(parse(whole.content)) == ANSWER


async def test_what_was_not_used_is_given_back_s7_l4() -> None:
    provider = demo()
    async with running({"RATE_LIMIT_TOKENS_PER_MINUTE": "10000"}, llm={"demo": provider}) as service:
        for number in range(3):
            request = body("endless", prompt=str(number), max_tokens=9_000)
            started = await service.client.post("/v1/streams", json=request, headers={"Prefer": "respond-async"})
            assert started.status_code == 202
            await service.client.delete(started.headers["location"])
            await stopped(service, provider)


async def unreachable() -> AsyncGenerator[str, None]:
    """The address of a listener whose line is full: who connects to it waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as waiting:
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.settimeout(0)
            one.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.mark.parametrize("stream", [True, False])
async def test_who_leaves_while_a_connection_is_waited_for_ends_the_work_r8(stream: bool) -> None:
    async with contextlib.aclosing(unreachable()) as urls:
        provider = OpenAIProvider("demo", await anext(urls))
        async with running(llm={"demo": provider}) as service:
            chat = {"model": "demo/x", "messages": [{"role": "user", "content": "x"}], "stream": stream}
            asking = asyncio.create_task(service.client.post("/v1/chat/completions", json=chat))
            await until(lambda: len(service.container.generations()) == 1)
            await asyncio.sleep(0.1)
            assert not asking.done()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await until(lambda: not len(service.container.generations()), 3.0)
            assert service.container.breakers().reports(["demo/x"])[0].failures == 0
        await provider.aclose()


@pytest.mark.parametrize("stream", [True, False])
async def test_who_leaves_in_the_pause_before_a_retry_ends_it_r8(stream: bool) -> None:
    scripts = {"down": Script(error=ProviderUnavailableError, retry_after=20.0)}
    provider = DemoProvider("demo", SystemClock(), scripts)
    async with running(llm={"demo": provider}) as service:
        chat = {"model": "demo/down", "messages": [{"role": "user", "content": "x"}], "stream": stream}
        asking = asyncio.create_task(service.client.post("/v1/chat/completions", json=chat))
        await until(lambda: provider.calls == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await stopped(service, provider)
        assert provider.calls == 1
