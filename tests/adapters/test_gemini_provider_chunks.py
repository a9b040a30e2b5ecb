"""Responses and errors of Gemini's API, case by case."""

import json
from typing import Any

import pytest

from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import ServerSentEvent
from adapters.providers.gemini_chunks import GeminiChunks
from adapters.providers.gemini_errors import status_error, stream_error
from domain.delta import Delta, Usage
from domain.errors import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderResponseError,
    ProviderUnavailableError,
)

ATTEMPT = Attempt("local", "thread-1")
BEGUN = {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}


def read(*payloads: Any) -> list[Delta | None]:
    reader = GeminiChunks(ATTEMPT)
    return [reader.delta(ServerSentEvent("message", json.dumps(one).encode())) for one in payloads]


def ended(reason: str) -> Any:
    return {"candidates": [{"finishReason": reason}]}


@pytest.mark.parametrize(
    "payload",
    [{}, None, "", {"candidates": []}, {"candidates": [{}]}, {"candidates": [{"content": {}}]}, {"usageMetadata": {}},
     {"candidates": [{"content": {"parts": [{"text": ""}, {"executableCode": {}}, {"inlineData": {"data": ""}}]}}]},
     {"promptFeedback": {"safetyRatings": []}}, ended("FINISH_REASON_UNSPECIFIED")],
)  # fmt: skip
def test_what_says_nothing_is_no_delta(payload: Any) -> None:
    assert read(BEGUN, payload) == [Delta("a", role="assistant"), None]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter"),
     ("SPII", "content_filter"), ("INVENTED", "content_filter")],
)  # fmt: skip
def test_reasons_for_stopping(reason: str, finish: str) -> None:
    assert read(BEGUN, ended(reason))[-1] == Delta(finish_reason=finish)


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER"])
def test_r4_a_fault_is_no_success(reason: str) -> None:
    with pytest.raises(ProviderResponseError):
        read(BEGUN, ended(reason))


def test_usage_may_come_after_the_end_or_only_before() -> None:
    late = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}
    assert read(BEGUN, ended("STOP"), late, {}) == [
        Delta("a", role="assistant"),
        Delta(finish_reason="stop"),
        Delta(usage=Usage(3, 4)),
        None,
    ]
    assert read({**BEGUN, **late}, ended("STOP"))[-1] == Delta(finish_reason="stop", usage=Usage(3, 4))


def test_counts_are_within_bounds() -> None:
    counts = {"usageMetadata": {"promptTokenCount": 10**80, "candidatesTokenCount": -1}}
    assert read(BEGUN, {**ended("STOP"), **counts})[-1] == Delta(finish_reason="stop", usage=Usage(1 << 24, 0))


def test_there_is_one_usage() -> None:
    late = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "cachedContentTokenCount": 2}}
    usage = Usage(3, 4, cached_tokens=2)
    assert read(BEGUN, {**ended("STOP"), **late}, late)[1:] == [Delta(finish_reason="stop", usage=usage), None]
    assert read(BEGUN, ended("STOP"), late, late)[2:] == [Delta(usage=usage), None]


def test_signatures_stand_where_googles_own_layer_has_them() -> None:
    """One in its call; the last of the others, which may have no text at all, with the end."""
    call = {"functionCall": {"name": "f"}, "thoughtSignature": "a"}
    last = {"content": {"parts": [{"text": "", "thoughtSignature": "c"}]}, "finishReason": "STOP"}
    thought = {"text": "hm", "thought": True, "thoughtSignature": "b"}
    made, end = read({"candidates": [{"content": {"parts": [thought, call]}}]}, {"candidates": [last]})
    assert made is not None
    assert end is not None
    assert json.loads(made.tool_calls[0].extra) == {"extra_content": {"google": {"thought_signature": "a"}}}
    assert (made.extra, json.loads(end.extra)) == (b"", {"extra_content": {"google": {"thought_signature": "c"}}})


def test_halves_of_an_emoji_go_through_in_text_and_in_arguments() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": "\ud83d"}}}
    (made,) = read({"candidates": [{"content": {"parts": [{"text": "\ude00"}, call]}}]})
    assert made is not None
    assert made.text == "\ude00"
    assert json.loads(made.tool_calls[0].arguments) == {"a": "\ud83d"}


@pytest.mark.parametrize(
    "data",
    [b"3", b"[]", b"{", b'{"candidates":3}', b'{"candidates":[{"content":{"parts":[{"text":3}]}}]}', b'{"a":NaN}',
     b'{"candidates":[{"content":{"parts":[{"functionCall":{}}]}}]}', b'{"a":' + b"[" * 100_000],
)  # fmt: skip
def test_r4_a_broken_frame_is_a_failure(data: bytes) -> None:
    with pytest.raises(ProviderResponseError) as caught:
        GeminiChunks(ATTEMPT).delta(ServerSentEvent("message", data))
    assert caught.value.thread_id == "thread-1"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "status": "RESOURCE_EXHAUSTED"}, ProviderRateLimitedError),
        ({"code": 503}, ProviderUnavailableError),
        ({"code": 400}, ProviderRequestError),
        ({"code": 404}, ProviderModelNotFoundError),
        ({"code": 400, "details": [3, {"reason": "API_KEY_INVALID"}]}, ProviderAuthenticationError),
        ({"code": 200}, ProviderUnavailableError),
        ({"code": "429"}, ProviderRateLimitedError),
        ("overloaded", ProviderUnavailableError),
    ],
)
def test_errors_inside_a_stream(error: object, kind: type[ProviderError]) -> None:
    assert type(stream_error(ATTEMPT, error)) is kind
    with pytest.raises(kind):
        read(BEGUN, {"error": error})


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("31s", 31.0), ("0.5s", 0.5), ("1.000000001s", 1.0), ("soon", None), (3, None), ("-1s", None)],
)
def test_when_to_come_back(delay: object, seconds: float | None) -> None:
    body = json.dumps({"error": {"code": 429, "details": [{"retryDelay": delay}]}}).encode()
    assert status_error(ATTEMPT, 429, {}, body).retry_after == seconds


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"error":3}', b'{"error":{"details":3}}', b"[" * 100_000])
def test_a_status_alone_says_enough(body: bytes) -> None:
    told = status_error(ATTEMPT, 503, {}, body)
    assert (type(told), "provider_code" in told.details) == (ProviderUnavailableError, False)
