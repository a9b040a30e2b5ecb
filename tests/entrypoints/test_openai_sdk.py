"""The official OpenAI client, unchanged but for its address, against Headgate in front of a real upstream."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.event_source import parse
from tests.faults import provider as faults
from tests.service import Running, running

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
TOOLS: list[ChatCompletionToolParam] = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with faults.process() as url:
        yield url


def environ(upstream: str, **more: str) -> dict[str, str]:
    return {"OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "sk-upstream", "RETRY_MAX_ATTEMPTS": "1", **more}


def client(service: Running) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="any", max_retries=0)


async def stats(upstream: str, model: str) -> dict[str, object]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(upstream.removesuffix("/v1") + "/_stats")
        seen: dict[str, object] = answer.json()["models"].get(model, {"requests": 0})
        return seen


async def test_streams_with_usage(upstream: str) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        chunks = [
            chunk
            async for chunk in await sdk.chat.completions.create(
                model="openai/ok", messages=ASK, stream=True, stream_options={"include_usage": True}
            )
        ]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text.split() == [f"tok{number}" for number in range(1, 61)]
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 60


async def test_without_asking_there_is_no_usage_chunk(upstream: str) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        stream = await sdk.chat.completions.create(model="openai/ok", messages=ASK, stream=True)
        assert all(chunk.choices for chunk in [chunk async for chunk in stream])


async def test_plain_calls_with_usage(upstream: str) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        answer = await sdk.chat.completions.create(model="openai/ok", messages=ASK)
        assert answer.object == "chat.completion"
        assert (answer.choices[0].message.content or "").endswith("tok60")
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + 60
        assert answer._request_id


@pytest.mark.parametrize("stream", [True, False])
async def test_tools(upstream: str, stream: bool) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        if stream:
            async with sdk.chat.completions.stream(model="openai/tools", messages=ASK, tools=TOOLS) as events:
                answer = await events.get_final_completion()
        else:
            answer = await sdk.chat.completions.create(model="openai/tools", messages=ASK, tools=TOOLS)  # type: ignore[assignment]
        (call,) = answer.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert call.function.name == "get_weather"
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        assert answer.choices[0].finish_reason == "tool_calls"


async def test_models(upstream: str) -> None:
    async with running() as service, client(service) as sdk:
        names = [model.id async for model in sdk.models.list()]
        assert (names[0], names[1:]) == ("demo", sorted(names[1:]))
        assert "demo/instant" in names


async def test_unknown_fields_reach_the_provider_and_unknown_event_fields_the_client(upstream: str) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        request = {
            "model": "openai/extra-fields",
            "messages": [{**ASK[0], "x_note": 1}],
            "stream": True,
            "x_new": {"a": [1]},
        }
        through = await service.client.post("/v1/chat/completions", json=request)
        sent = (await stats(upstream, "extra-fields"))["body"]
        assert isinstance(sent, dict)
        assert sent["x_new"] == {"a": [1]}
        assert sent["messages"] == [{**ASK[0], "x_note": 1}]
        assert sent["stream_options"] == {"include_usage": True}
        async with httpx.AsyncClient() as http:
            direct = await http.post(f"{upstream}/chat/completions", json={**sent, "model": "extra-fields"})
        # Byte for byte, but for the usage chunk that this client did not ask for.
        expected = [event.data for event in parse(direct.content) if '"usage": {' not in event.data]
        assert [event.data for event in parse(through.content)] == expected
        assert any("x_invented" in data for data in expected)
        stream = await sdk.chat.completions.create(model="openai/extra-fields", messages=ASK, stream=True)
        extras = [chunk.model_extra for chunk in [chunk async for chunk in stream]]
        assert any("x_invented" in (extra or {}) for extra in extras)


async def test_any_chunking_of_the_upstream_comes_out_whole_s15(upstream: str) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        plain = await sdk.chat.completions.create(model="openai/unicode", messages=ASK)
        assert plain.choices[0].message.content == faults.UNICODE_TEXT + "😀"
        native = await service.client.post("/v1/streams", json={"model": "openai/unicode", "prompt": "again"})
        deltas = [json.loads(event.data)["text"] for event in parse(native.content) if event.event == "delta"]
        # The two halves of the last emoji come in two events, and are one character where they are joined.
        assert "".join(deltas).encode("utf-16", "surrogatepass").decode("utf-16") == faults.UNICODE_TEXT + "😀"


@pytest.mark.parametrize("model", ["cut-40", "no-finish", "error-midway", "broken-json", "stall-20"])
async def test_a_stream_that_fails_midway_raises_in_the_client_r4(upstream: str, model: str) -> None:
    async with running(environ(upstream, STREAM_IDLE_TIMEOUT="0.3")) as service, client(service) as sdk:
        stream = await sdk.chat.completions.create(model=f"openai/{model}", messages=ASK, stream=True)
        with pytest.raises(openai.APIError) as raised:
            [chunk async for chunk in stream]
        assert raised.value.code in {
            "upstream_truncated",
            "provider_unavailable",
            "provider_bad_response",
            "provider_timeout",
        }
        with pytest.raises(openai.InternalServerError):
            await sdk.chat.completions.create(model=f"openai/{model}", messages=ASK)


@pytest.mark.parametrize("model", ["no-done", "no-done-cut", "no-done-open"])
async def test_a_missing_done_after_a_finish_reason_is_a_success_r5(upstream: str, model: str) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        async with asyncio.timeout(5):
            stream = await sdk.chat.completions.create(model=f"openai/{model}", messages=ASK, stream=True)
            chunks = [chunk async for chunk in stream]
        assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("400", openai.BadRequestError),
        ("401", openai.InternalServerError),
        ("404", openai.NotFoundError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("html", openai.InternalServerError),
        ("redirect", openai.InternalServerError),
        ("gzip", openai.InternalServerError),
        ("huge-line", openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_failures_before_the_first_event_are_the_clients_own_classes(
    upstream: str, model: str, error: type[openai.APIStatusError], stream: bool
) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        with pytest.raises(error) as raised:
            await sdk.chat.completions.create(
                model=f"openai/{model}", messages=[{"role": "user", "content": "planted-7f3a"}], stream=stream
            )
        # The upstream quotes the prompt in its errors: of what it says of the request the caller's own words come back
        # (R9), of all else none; and never our key (P1, P2).
        assert ("planted-7f3a" in raised.value.response.text) is (model in {"400", "404"})
        assert "sk-upstream" not in raised.value.response.text


async def test_heartbeats_do_no_harm_s10(upstream: str) -> None:
    beats = environ(upstream, STREAM_HEARTBEAT_INTERVAL="0.05", STREAM_IDLE_TIMEOUT="0.5")
    async with running(beats) as service, client(service) as sdk:
        request = {"model": "openai/stall-20", "messages": [{"role": "user", "content": "1"}], "stream": True}
        raw = await service.client.post("/v1/chat/completions", json=request)
        assert raw.content.count(b"\n: ping\n") >= 2
        stream = await sdk.chat.completions.create(model="openai/stall-20", messages=ASK, stream=True)
        texts = []
        with pytest.raises(openai.APIError):
            async for chunk in stream:
                texts.append(chunk.choices[0].delta.content)
        assert len([text for text in texts if text]) == 20


async def test_a_server_that_goes_away_raises_in_the_client_s12(upstream: str) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        stream = await sdk.chat.completions.create(model="openai/ok-slow", messages=ASK, stream=True)
        first = await anext(stream)
        service.streams.say_goodbye()
        with pytest.raises(openai.APIError, match="resume"):
            [chunk async for chunk in stream]
        assert first.choices


async def test_the_upstream_sees_us_hang_up_s7_r8(upstream: str) -> None:
    async with running(environ(upstream)) as service, client(service) as sdk:
        before = await stats(upstream, "ok-slow")
        async with await sdk.chat.completions.create(
            model="openai/ok-slow", messages=[{"role": "user", "content": "leaving"}], stream=True
        ) as stream:
            await anext(stream)
        async with asyncio.timeout(3):
            while (now := await stats(upstream, "ok-slow"))["open"] or now["requests"] == before["requests"]:
                pass
        assert now["hangups"]
