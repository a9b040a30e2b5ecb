"""The Anthropic provider against an upstream on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from adapters.providers.anthropic import AnthropicProvider
from adapters.providers.anthropic_events import AnthropicEvents
from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import EventStreamParser
from adapters.providers.streamed_answer import StreamedAnswer
from domain.delta import Delta, Dialect, Usage
from domain.errors import (
    ConfigurationError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderResponseError,
    ProviderUnavailableError,
)
from domain.model import CompletionRequest, Message
from tests.adapters.fed import fed
from tests.adapters.test_anthropic_provider_upstream import (
    EMOJI,
    WORDS,
    VendorServer,
    answer,
    calls_of,
    served,
    start,
    stop,
    text,
    upstream,
)
from tests.service import until

KEY = "sk-ant-planted"
REQUEST = CompletionRequest("m", [Message("user", "planted-secret")])


@pytest.fixture
def server() -> VendorServer:
    return upstream()


@pytest.fixture
async def provider(server: VendorServer) -> AsyncIterator[AnthropicProvider]:
    async with served(server) as url:
        one = AnthropicProvider("local", url, SecretStr(KEY))
        yield one
        await one.aclose()


def joined(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


async def test_an_answer_has_role_text_finish_usage_and_model(provider: AnthropicProvider) -> None:
    deltas = await answer(provider, "ok")
    assert deltas[0] == Delta(role="assistant", model="ok")
    assert joined(deltas) == "".join(WORDS)
    assert deltas[-1] == Delta(finish_reason="stop", usage=Usage(9, 60), model="ok")
    assert {(delta.raw, delta.dialect) for delta in deltas} == {(b"", Dialect.NATIVE)}


async def test_the_key_goes_in_its_own_header_and_the_address_is_the_messages_api(
    provider: AnthropicProvider, server: VendorServer
) -> None:
    await answer(provider, "ok")
    ((path, headers, body),) = server.seen
    assert path == "/v1/messages"
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers
    assert body["stream"] is True


async def test_tool_calls_come_in_fragments_and_one_without_arguments_has_an_empty_object(
    provider: AnthropicProvider,
) -> None:
    deltas = await answer(provider, "tools")
    assert calls_of(deltas) == [("toolu_1", "get_weather", {"city": "Paris"}), ("toolu_2", "now", {})]
    assert len([call for delta in deltas for call in delta.tool_calls]) == 6
    assert deltas[-1].finish_reason == "tool_calls"


async def test_usage_counts_what_was_read_from_the_cache_and_written_to_it(provider: AnthropicProvider) -> None:
    last = (await answer(provider, "cached"))[-1]
    assert (last.usage, last.finish_reason) == (Usage(4 + 5 + 1, 60, cached_tokens=5), "length")


async def test_tools_that_anthropic_runs_itself_are_no_calls(provider: AnthropicProvider) -> None:
    deltas = await answer(provider, "server-tool")
    assert (calls_of(deltas), joined(deltas)) == ([], "Found.")


async def test_k1_a_refusal_is_a_filtered_answer(provider: AnthropicProvider) -> None:
    assert (await answer(provider, "refusal"))[-1].finish_reason == "content_filter"


async def test_s15_any_text_arrives_whole_cut_at_every_byte(provider: AnthropicProvider) -> None:
    assert joined(await answer(provider, "unicode")) == EMOJI + EMOJI


@given(st.lists(st.text(max_size=12), max_size=6), st.lists(st.integers(0, 5_000), max_size=12))
def test_s15_any_text_in_any_chunks_is_the_same(pieces: list[str], cuts: list[int]) -> None:
    body = b"".join([start("m"), *text(0, *(f"{piece}\U0001f680" for piece in pieces)), *stop("end_turn")])
    attempt = Attempt("local", "thread-1")
    parser, reader = EventStreamParser(attempt), AnthropicEvents(attempt)
    places = [0, *sorted(cut % len(body) for cut in cuts), len(body)]
    deltas = [
        delta
        for begin, end in pairwise(places)
        for event in fed(parser, body[begin:end])
        if (delta := reader.delta(event)) is not None
    ]
    assert joined(deltas) == "".join(f"{piece}\U0001f680" for piece in pieces)
    assert deltas[-1].finish_reason == "stop"
    assert reader.over


async def test_r4_no_stop_reason_is_seen_by_the_caller(provider: AnthropicProvider) -> None:
    deltas = await answer(provider, "no-finish")
    assert joined(deltas) == "".join(WORDS)
    assert not any(delta.finish_reason for delta in deltas)


async def test_r5_a_cut_after_the_stop_reason_is_an_end(provider: AnthropicProvider) -> None:
    assert (await answer(provider, "no-stop-cut"))[-1].finish_reason == "stop"


async def test_a_connection_is_kept_for_the_next_request(provider: AnthropicProvider) -> None:
    await answer(provider, "ok")
    await until(lambda: provider._upstream.idle == 1)
    await answer(provider, "ok")
    await until(lambda: provider._upstream.idle == 1)


@pytest.mark.parametrize(
    ("model", "kind", "count"),
    [
        ("cut-40", ProviderConnectionError, 40),
        ("error-midway", ProviderUnavailableError, 20),
        ("broken-json", ProviderResponseError, 20),
        ("huge-line", ProviderResponseError, 0),
    ],
)
@pytest.mark.parametrize("delivered", [True, False])
async def test_r4_what_came_before_a_failure_is_given_and_then_it_is_raised(
    provider: AnthropicProvider, model: str, kind: type[ProviderError], count: int, delivered: bool
) -> None:
    deltas: list[Delta] = []
    async with provider.stream(REQUEST, model, "thread-1") as batches:
        assert isinstance(batches, StreamedAnswer)
        with pytest.raises(kind) as caught:
            if delivered:
                await batches.deliver(deltas.extend)
            else:
                async for batch in batches:
                    deltas += batch
    assert joined(deltas) == "".join(WORDS[:count])
    assert_says_nothing(caught.value)


@pytest.mark.parametrize("model", ["ok", "no-finish", "no-stop-cut", "unicode"])
async def test_what_is_delivered_is_what_iterating_gives(provider: AnthropicProvider, model: str) -> None:
    deltas: list[Delta] = []
    async with provider.stream(REQUEST, model, "thread-1") as batches:
        assert isinstance(batches, StreamedAnswer)
        await batches.deliver(deltas.extend)
    assert deltas == await answer(provider, model)


def assert_says_nothing(error: ProviderError) -> None:
    """P1: who called whom, and nothing of what was said or of the key."""
    shown = repr(error) + repr(error.__cause__) + str(error)
    assert error.thread_id == "thread-1"
    assert error.details["provider"] == "local"
    for planted in ("planted", "127.0.0.1", "/v1"):
        assert planted not in shown


@pytest.mark.parametrize(
    ("model", "kind", "details"),
    [
        ("400", ProviderRequestError, {"status": 400, "provider_code": "invalid_request_error"}),
        ("401", ProviderAuthenticationError, {"status": 401, "provider_code": "authentication_error"}),
        ("402", ProviderAuthenticationError, {"status": 402}),
        ("404", ProviderModelNotFoundError, {"status": 404}),
        ("413", ProviderRequestError, {"status": 413}),
        ("429", ProviderRateLimitedError, {"status": 429, "retry_after": 7.0}),
        ("500", ProviderUnavailableError, {"status": 500}),
        ("529", ProviderUnavailableError, {"status": 529, "retry_after": 2.0}),
        ("redirect", ProviderResponseError, {"status": 307}),
        ("html", ProviderResponseError, {"status": 200}),
        ("gzip", ProviderResponseError, {}),
    ],
)
async def test_p1_errors_by_status_and_type_hold_no_word_of_the_body(
    provider: AnthropicProvider, model: str, kind: type[ProviderError], details: dict[str, object]
) -> None:
    with pytest.raises(ProviderError) as caught:
        await answer(provider, model)
    assert type(caught.value) is kind
    assert details.items() <= caught.value.details.items()
    assert_says_nothing(caught.value)


@pytest.mark.parametrize("model", ["silent", "stall-20"])
async def test_r8_leaving_closes_the_upstream_within_a_second(
    provider: AnthropicProvider, server: VendorServer, model: str
) -> None:
    task = asyncio.create_task(answer(provider, model))
    await until(lambda: server.open == 1)
    task.cancel()
    async with asyncio.timeout(3):
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.open == 0)


async def test_what_cannot_be_translated_is_refused_before_the_provider_is_asked(
    provider: AnthropicProvider, server: VendorServer
) -> None:
    bad = CompletionRequest("ok", [Message("tool", "planted-secret")])
    with pytest.raises(ProviderRequestError) as caught:
        async with provider.stream(bad, "ok", "thread-1"):
            pass
    assert_says_nothing(caught.value)
    assert server.seen == []


@pytest.mark.parametrize(("url", "key"), [("ftp://x", None), ("http://x", "a\nb")])
def test_an_address_or_a_key_that_cannot_be_used_is_told(url: str, key: str | None) -> None:
    with pytest.raises(ConfigurationError):
        AnthropicProvider("local", url, key)
