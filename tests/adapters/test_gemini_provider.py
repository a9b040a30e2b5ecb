"""The Gemini provider against an upstream on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import EventStreamParser
from adapters.providers.gemini import GeminiProvider
from adapters.providers.gemini_chunks import GeminiChunks
from adapters.providers.streamed_answer import StreamedAnswer
from domain.delta import Delta, Dialect, Usage
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
from domain.model import CompletionRequest, Message
from tests.adapters.fed import fed
from tests.adapters.test_anthropic_provider_upstream import EMOJI, WORDS, VendorServer, answer, calls_of, served
from tests.adapters.test_gemini_provider_upstream import stop, text, upstream
from tests.service import until

KEY = "AIza-planted"
REQUEST = CompletionRequest("m", [Message("user", "planted-secret")])


@pytest.fixture
def server() -> VendorServer:
    return upstream()


@pytest.fixture
async def provider(server: VendorServer) -> AsyncIterator[GeminiProvider]:
    async with served(server) as url:
        one = GeminiProvider("local", f"{url}/v1beta", SecretStr(KEY))
        yield one
        await one.aclose()


def joined(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


async def test_an_answer_has_role_text_finish_usage_and_model(provider: GeminiProvider) -> None:
    deltas = await answer(provider, "ok")
    assert deltas[0] == Delta(WORDS[0], role="assistant", model="m")
    assert joined(deltas) == "".join(WORDS)
    assert deltas[-1] == Delta(finish_reason="stop", usage=Usage(9, 60), model="ok")
    assert {(delta.raw, delta.dialect) for delta in deltas} == {(b"", Dialect.NATIVE)}
    assert len([delta for delta in deltas if delta.usage]) == 1


async def test_p2_the_key_goes_in_a_header_and_never_in_the_url(provider: GeminiProvider, server: VendorServer) -> None:
    await answer(provider, "ok")
    ((path, headers, body),) = server.seen
    assert path == "/v1beta/models/ok:streamGenerateContent?alt=sse"
    assert headers["x-goog-api-key"] == KEY
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Why?"}]}]}


@pytest.mark.parametrize(
    ("model", "segment"),
    [
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("../../x?key=1#y", "..%2F..%2Fx%3Fkey%3D1%23y"),
        ("a b\r\nX: y", "a%20b%0D%0AX%3A%20y"),
        ("é\ud83d", "%C3%A9%3F"),
    ],
)
async def test_p3_the_name_of_a_model_stays_one_segment_of_the_path(
    provider: GeminiProvider, server: VendorServer, model: str, segment: str
) -> None:
    with pytest.raises(ProviderModelNotFoundError):
        await answer(provider, model)
    assert server.seen[0][0] == f"/v1beta/models/{segment}:streamGenerateContent?alt=sse"


async def test_calls_come_whole_with_an_id_of_their_own_where_they_have_none(provider: GeminiProvider) -> None:
    deltas = await answer(provider, "tools")
    first, second = calls_of(deltas)
    assert first[1:] == ("get_weather", {"city": "Paris \U0001f680"})
    assert second == ("c2", "now", {})
    assert first[0] != (await answer(provider, "tools"))[1].tool_calls[0].id
    assert [call.index for delta in deltas for call in delta.tool_calls] == [0, 1]
    assert deltas[-1].finish_reason == "tool_calls"


async def test_one_call_at_a_time_is_the_first(provider: GeminiProvider) -> None:
    one = CompletionRequest("m", [Message("user", "hi")], {"parallel_tool_calls": False})
    async with provider.stream(one, "tools", "thread-1") as batches:
        deltas = [delta async for batch in batches for delta in batch]
    assert [call.name for delta in deltas for call in delta.tool_calls] == ["get_weather"]
    assert deltas[-1].finish_reason == "tool_calls"


async def test_thoughts_are_reasoning_and_are_counted(provider: GeminiProvider) -> None:
    deltas = await answer(provider, "thinking")
    assert ("".join(delta.reasoning for delta in deltas), joined(deltas)) == ("Hmm.", "Yes.")
    assert deltas[-1].usage == Usage(9 + 3, 2 + 5, reasoning_tokens=5)


@pytest.mark.parametrize(("model", "finish"), [("safety", "content_filter"), ("length", "length")])
async def test_reasons_for_stopping(provider: GeminiProvider, model: str, finish: str) -> None:
    assert (await answer(provider, model))[-1].finish_reason == finish


async def test_k1_a_prompt_that_is_blocked_is_a_filtered_answer(provider: GeminiProvider) -> None:
    (only,) = await answer(provider, "blocked")
    assert only == Delta(role="assistant", finish_reason="content_filter", usage=Usage(9, 0), model="blocked")


async def test_s15_any_text_arrives_whole_cut_at_every_byte(provider: GeminiProvider) -> None:
    assert joined(await answer(provider, "unicode")) == EMOJI + EMOJI


@given(st.lists(st.text(max_size=12), max_size=6), st.lists(st.integers(0, 5_000), max_size=12))
def test_s15_any_text_in_any_chunks_is_the_same(pieces: list[str], cuts: list[int]) -> None:
    body = b"".join([*text(*(f"{piece}\U0001f680" for piece in pieces)), stop("m")])
    attempt = Attempt("local", "thread-1")
    parser, reader = EventStreamParser(attempt), GeminiChunks(attempt)
    places = [0, *sorted(cut % len(body) for cut in cuts), len(body)]
    deltas = [
        delta
        for begin, end in pairwise(places)
        for event in fed(parser, body[begin:end])
        if (delta := reader.delta(event)) is not None
    ]
    deltas += reader.last()  # the end of an answer without a word is told at the end of the body
    assert joined(deltas) == "".join(f"{piece}\U0001f680" for piece in pieces)
    assert deltas[-1].finish_reason == "stop"


async def test_r4_no_reason_for_stopping_is_seen_by_the_caller(provider: GeminiProvider) -> None:
    deltas = await answer(provider, "no-finish")
    assert joined(deltas) == "".join(WORDS)
    assert not any(delta.finish_reason for delta in deltas)


async def test_r5_a_cut_after_the_reason_for_stopping_is_an_end(provider: GeminiProvider) -> None:
    assert (await answer(provider, "no-end-cut"))[-1].finish_reason == "stop"


async def test_a_connection_is_kept_for_the_next_request(provider: GeminiProvider) -> None:
    await answer(provider, "ok")
    assert provider._upstream.idle == 1
    await answer(provider, "ok")
    assert provider._upstream.idle == 1


@pytest.mark.parametrize(
    ("model", "kind", "told"),
    [
        ("cut-40", ProviderConnectionError, "".join(WORDS[:40])),
        ("error-midway", ProviderUnavailableError, "".join(WORDS[:20])),
        ("broken-json", ProviderResponseError, "".join(WORDS[:20])),
        ("malformed", ProviderResponseError, "a"),
        ("huge-line", ProviderResponseError, ""),
    ],
)
@pytest.mark.parametrize("delivered", [True, False])
async def test_r4_what_came_before_a_failure_is_given_and_then_it_is_raised(
    provider: GeminiProvider, model: str, kind: type[ProviderError], told: str, delivered: bool
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
    assert joined(deltas) == told
    assert_says_nothing(caught.value)


def assert_says_nothing(error: ProviderError) -> None:
    """P1: who called whom, and nothing of what was said or of the key."""
    shown = repr(error) + repr(error.__cause__) + str(error)
    assert error.thread_id == "thread-1"
    assert error.details["provider"] == "local"
    for planted in ("planted", "127.0.0.1", "/v1beta"):
        assert planted not in shown


@pytest.mark.parametrize(
    ("model", "kind", "details"),
    [
        ("400", ProviderRequestError, {"status": 400, "provider_code": "INVALID_ARGUMENT"}),
        ("key", ProviderAuthenticationError, {"status": 401, "provider_code": "API_KEY_INVALID"}),
        ("key-in-a-list", ProviderAuthenticationError, {"status": 401, "provider_code": "API_KEY_INVALID"}),
        ("403", ProviderAuthenticationError, {"status": 403, "provider_code": "PERMISSION_DENIED"}),
        ("404", ProviderModelNotFoundError, {"status": 404}),
        ("429", ProviderRateLimitedError, {"status": 429, "retry_after": 31.0}),
        ("429-header", ProviderRateLimitedError, {"status": 429, "retry_after": 7.0}),
        ("500", ProviderUnavailableError, {"status": 500}),
        ("503", ProviderUnavailableError, {"status": 503, "retry_after": 2.0}),
        ("redirect", ProviderResponseError, {"status": 307}),
        ("html", ProviderResponseError, {"status": 200}),
        ("gzip", ProviderResponseError, {}),
    ],
)
async def test_p1_errors_by_status_and_reason_hold_no_word_of_the_body(
    provider: GeminiProvider, model: str, kind: type[ProviderError], details: dict[str, object]
) -> None:
    with pytest.raises(ProviderError) as caught:
        await answer(provider, model)
    assert type(caught.value) is kind
    assert details.items() <= caught.value.details.items()
    assert_says_nothing(caught.value)


@pytest.mark.parametrize("model", ["silent", "stall-20"])
async def test_r8_leaving_closes_the_upstream_within_a_second(
    provider: GeminiProvider, server: VendorServer, model: str
) -> None:
    task = asyncio.create_task(answer(provider, model))
    await until(lambda: server.open == 1)
    task.cancel()
    async with asyncio.timeout(3):
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.open == 0)
