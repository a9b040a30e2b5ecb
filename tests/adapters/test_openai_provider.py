"""The OpenAI provider against an upstream in another process."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from adapters.providers.openai import OpenAIProvider
from domain.delta import Delta, Dialect, ToolCallDelta, Usage
from domain.errors import (
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderResponseError,
    ProviderUnavailableError,
)
from domain.model import CompletionRequest, Json, Message
from tests.faults import provider as upstream

SECRET = "planted-secret someone@example.org"
KEY = "sk-planted-key"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream.process() as base_url:
        yield base_url


@pytest.fixture
async def provider(url: str) -> AsyncIterator[OpenAIProvider]:
    one = OpenAIProvider("local", url, KEY)
    yield one
    await one.aclose()


def request(model: str, **options: Json) -> CompletionRequest:
    return CompletionRequest(model, [Message("user", SECRET, {"name": "ann"})], options)


async def answer(provider: OpenAIProvider, model: str, **options: Json) -> list[Delta]:
    deltas: list[Delta] = []
    async with provider.stream(request(model, **options), model, "thread-1") as batches:
        async for batch in batches:
            assert batch
            deltas += batch
    return deltas


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def tokens(count: int) -> str:
    return "".join(f" tok{number}" for number in range(1, count + 1))


async def stats(url: str, model: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        seen: dict[str, Any] = (await client.get(url.removesuffix("/v1") + "/_stats")).json()
    return dict(seen["models"][model])


async def stats_until(url: str, model: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            seen = await stats(url, model)
            if condition(seen):
                return seen
            await asyncio.sleep(0.01)


async def test_an_answer_with_role_text_finish_usage_and_the_providers_own_bytes(provider: OpenAIProvider) -> None:
    deltas = await answer(provider, "ok")
    assert text(deltas) == tokens(60)
    assert deltas[0].role == "assistant"
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]
    assert [delta.model for delta in deltas if delta.model] == ["ok"]
    assert deltas[-1].usage == Usage(9, 60)
    assert all(delta.dialect is Dialect.OPENAI for delta in deltas)
    assert json.loads(deltas[1].raw)["choices"][0]["delta"] == {"content": " tok1"}


async def test_the_request_reaches_the_provider_with_all_its_fields(provider: OpenAIProvider, url: str) -> None:
    await answer(provider, "ok", temperature=0.5, x_invented={"deep": [1]}, stream_options={"x": 1}, stream=False)
    seen = await stats(url, "ok")
    assert seen["body"] == {
        "model": "ok",
        "messages": [{"role": "user", "content": SECRET, "name": "ann"}],
        "temperature": 0.5,
        "x_invented": {"deep": [1]},
        "stream": True,
        "stream_options": {"x": 1, "include_usage": True},
    }
    assert seen["headers"]["authorization"] == f"bearer {KEY}"


async def test_p3_no_option_changes_the_address(provider: OpenAIProvider, url: str) -> None:
    before = (await stats_until(url, "ok", lambda _: True))["requests"] if await answer(provider, "ok") else 0
    await answer(
        provider, "ok", base_url="http://127.0.0.1:1/", api_base="http://127.0.0.1:1/", url="http://127.0.0.1:1/"
    )
    assert (await stats(url, "ok"))["requests"] == before + 1


async def test_a_secret_key_is_sent_in_clear_and_shown_never(url: str) -> None:
    provider = OpenAIProvider("local", url, SecretStr(KEY))
    await answer(provider, "tools")
    await provider.aclose()
    assert (await stats(url, "tools"))["headers"]["authorization"] == f"bearer {KEY}"


async def test_half_a_surrogate_pair_in_a_request_goes_as_it_came(provider: OpenAIProvider, url: str) -> None:
    half = CompletionRequest("ok", [Message("user", "a\ud83d")])
    async with provider.stream(half, "ok", "thread-1") as batches:
        assert [batch async for batch in batches]
    assert (await stats(url, "ok"))["body"]["messages"][0]["content"] == "a\ud83d"


async def test_tool_calls_come_in_fragments(provider: OpenAIProvider) -> None:
    deltas = await answer(provider, "tools")
    calls = [call for delta in deltas for call in delta.tool_calls]
    assert calls[0] == ToolCallDelta(0, "call_1", "get_weather", "")
    assert "".join(call.arguments for call in calls) == '{"city": "Paris"}'
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["tool_calls"]


async def test_a_provider_that_ignores_stream_is_read_as_one_chunk(provider: OpenAIProvider) -> None:
    (delta,) = await answer(provider, "plain")
    assert delta.text == tokens(60)
    assert (delta.finish_reason, delta.usage, delta.role, delta.model) == ("stop", Usage(9, 60), "assistant", "plain")
    raw = json.loads(delta.raw)
    assert raw["object"] == "chat.completion.chunk"
    assert raw["service_tier"] == "default"
    assert raw["choices"][0]["delta"] == {"role": "assistant", "content": tokens(60), "annotations": []}
    assert raw["usage"]["total_tokens"] == 69


async def test_s15_any_text_arrives_whole_and_raw_is_one_safe_line(provider: OpenAIProvider) -> None:
    deltas = await answer(provider, "unicode")
    assert text(deltas) == upstream.UNICODE_TEXT + "\ud83d" + "\ude00"
    for delta in deltas:
        assert len(delta.raw.decode().splitlines()) == 1
        assert "\ufeff" not in delta.raw.decode()
    assert json.loads(deltas[0].raw)["choices"][0]["delta"]["content"] == upstream.UNICODE_TEXT


async def test_unknown_fields_stay_in_raw_byte_for_byte(provider: OpenAIProvider) -> None:
    first = (await answer(provider, "extra-fields"))[0]
    assert b'"x_invented": {"deep": [1, 2.5, 1000.0]}' in first.raw
    assert b'"annotations": []' in first.raw
    assert first.text == "a"


@pytest.mark.parametrize("model", ["no-done", "no-done-cut"])
async def test_r5_an_end_without_done_after_a_finish_reason_is_an_end(provider: OpenAIProvider, model: str) -> None:
    deltas = await answer(provider, model)
    assert text(deltas) == tokens(60)
    assert deltas[-2].finish_reason == "stop"


async def test_r5_done_ends_the_answer_and_the_connection_is_kept_when_its_end_has_come(
    provider: OpenAIProvider,
) -> None:
    await answer(provider, "ok")
    async with asyncio.timeout(3):
        while provider._upstream.idle == 0:  # noqa: ASYNC110 - the pool has no event for it
            await asyncio.sleep(0.001)


async def test_r4_no_finish_reason_is_seen_by_the_caller(provider: OpenAIProvider) -> None:
    deltas = await answer(provider, "no-finish")
    assert text(deltas) == tokens(60)
    assert not any(delta.finish_reason for delta in deltas)


@pytest.mark.parametrize(
    ("model", "kind", "count"),
    [
        ("cut-40", ProviderConnectionError, 40),
        ("error-midway", ProviderUnavailableError, 20),
        ("broken-json", ProviderResponseError, 20),
        ("huge-line", ProviderResponseError, 0),
    ],
)
async def test_r4_what_came_before_a_failure_is_given_and_then_it_is_raised(
    provider: OpenAIProvider, model: str, kind: type[ProviderError], count: int
) -> None:
    deltas: list[Delta] = []
    async with provider.stream(request(model), model, "thread-1") as batches:
        with pytest.raises(kind) as caught:
            while True:
                deltas += await anext(batches)
    assert text(deltas) == tokens(count)
    assert_says_nothing(caught.value)


def assert_says_nothing(error: ProviderError) -> None:
    """P1: who called whom, and nothing of what was said or of the key."""
    shown = repr(error) + repr(error.__cause__) + str(error)
    assert error.thread_id == "thread-1"
    assert error.details["provider"] == "local"
    for planted in ("planted", "example.org", "sk-", "127.0.0.1", "/v1"):
        assert planted not in shown


@pytest.mark.parametrize(
    ("model", "kind", "details"),
    [
        ("400", ProviderRequestError, {"status": 400, "provider_code": "context_length_exceeded", "param": "messages"}),
        ("401", ProviderAuthenticationError, {"status": 401}),
        ("404", ProviderModelNotFoundError, {"status": 404}),
        ("429", ProviderRateLimitedError, {"status": 429, "retry_after": 1.0}),
        ("500", ProviderUnavailableError, {"status": 500}),
        ("503", ProviderUnavailableError, {"status": 503, "retry_after": 2.0}),
        ("redirect", ProviderResponseError, {"status": 307}),
        ("html", ProviderResponseError, {"status": 200}),
        ("gzip", ProviderResponseError, {}),
    ],
)
async def test_p1_errors_by_status_hold_no_word_of_the_body(
    provider: OpenAIProvider, model: str, kind: type[ProviderError], details: dict[str, object]
) -> None:
    with pytest.raises(ProviderError) as caught:
        await answer(provider, model)
    assert type(caught.value) is kind
    assert details.items() <= caught.value.details.items()
    assert_says_nothing(caught.value)


@pytest.mark.parametrize("model", ["silent", "stall-20", "no-done-open"])
async def test_r8_leaving_closes_the_upstream_within_a_second(provider: OpenAIProvider, url: str, model: str) -> None:
    """Before the first token, in the middle, and after the finish (S7)."""
    task = asyncio.create_task(answer(provider, model))
    await stats_until_open(url, model)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    began = asyncio.get_running_loop().time()
    await stats_until(url, model, lambda seen: seen["open"] == 0)
    assert asyncio.get_running_loop().time() - began < 1


async def stats_until_open(url: str, model: str) -> None:
    async with asyncio.timeout(5), httpx.AsyncClient() as client:
        while True:
            seen = (await client.get(url.removesuffix("/v1") + "/_stats")).json()["models"].get(model)
            if seen and seen["open"]:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("model", "foreign"), [("gpt-4o--ok", False), ("unknown--ok", True), ("gemini-3--ok", True)])
async def test_r1_what_other_vendors_signed_does_not_make_a_fallback_refuse(
    provider: OpenAIProvider, url: str, model: str, foreign: bool
) -> None:
    function: Json = {"name": "f", "arguments": "{}"}
    call: dict[str, Json] = {"id": "c", "type": "function", "function": function}
    signed: Json = {**call, "extra_content": {"google": {"thought_signature": "c2ln"}}}
    own: Json = {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}
    thought: Json = {"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1"}
    extra: dict[str, Json] = {"tool_calls": [signed], "reasoning_details": [thought, own], "x_note": 1}
    messages = [Message("user", "hi"), Message("assistant", None, extra), Message("tool", "1", {"tool_call_id": "c"})]
    async with provider.stream(CompletionRequest(model, messages), model, "thread-1") as batches:
        _ = [batch async for batch in batches]
    async with httpx.AsyncClient() as http:
        seen = (await http.get(url.removesuffix("/v1") + "/_stats")).json()["models"][model]["body"]["messages"][1]
    sent = extra if foreign else {"tool_calls": [call], "reasoning_details": [own], "x_note": 1}
    assert seen == {"role": "assistant", "content": None, **sent}
