"""Chunks, completions and errors of OpenAI's dialect, case by case."""

import json
from typing import Any

import pytest

from adapters.providers.attempt import Attempt
from adapters.providers.openai_chunks import OpenAIChunks, chunk_event
from adapters.providers.openai_completion import completion_deltas as whole_deltas
from adapters.providers.openai_errors import status_error, stream_error
from domain.delta import Delta, ToolCallDelta, Usage
from domain.errors import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)

ATTEMPT = Attempt("local", "thread-1")


def chunk_delta(data: bytes, attempt: Attempt) -> Delta:
    delta = OpenAIChunks(attempt).delta(chunk_event(data))
    assert delta is not None
    return delta


def completion_deltas(body: bytes, attempt: Attempt) -> list[Delta]:
    return whole_deltas(body, OpenAIChunks(attempt), attempt)


def chunk(delta: Any, **choice: Any) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": delta, **choice}]}).encode()


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (chunk({"content": "a"}), {"text": "a"}),
        (chunk({"content": None}), {"text": ""}),
        (chunk({"content": [{"type": "text", "text": "a"}, {"type": "thinking"}]}), {"text": "a"}),
        (chunk({}, finish_reason=""), {"finish_reason": None}),
        (chunk({"reasoning_content": "r"}), {"reasoning": "r"}),
        (chunk({"reasoning": "r"}), {"reasoning": "r"}),
        (chunk({"role": "assistant"}, index=2), {"role": "assistant", "choice": 2}),
        (chunk({"tool_calls": [{"index": at, "id": "xy"[at], "function": {"name": "fg"[at]}} for at in (0, 1)]}),
         {"tool_calls": (ToolCallDelta(0, "x", "f", ""), ToolCallDelta(1, "y", "g"))}),
        (b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}', {"usage": Usage(1, 2)}),
        (b'{"choices":[],"usage":null,"error":null}', {"usage": None}),
        (b'{"choices":[],"usage":{"prompt_tokens":1%b,"completion_tokens":-1}}' % (b"0" * 80),
         {"usage": Usage(1 << 24, 0)}),
        (b'{"choices":[{"delta":{"content":"\\ud83d"}}]}', {"text": "\ud83d"}),
        (b'{"x":"\\udc00","choices":[{"delta":{"content":"\\ud83d\\ude00"}}]}', {"text": "\U0001f600"}),
    ],
)  # fmt: skip
def test_the_fields_of_a_chunk(data: bytes, fields: dict[str, object]) -> None:
    delta = chunk_delta(data, ATTEMPT)
    assert {name: getattr(delta, name) for name in fields} == fields
    assert delta.raw == data


@pytest.mark.parametrize("delta", [{"delta": None}, {"delta": []}, {"delta": ""}, {}])
def test_a_choice_without_a_delta_has_an_empty_one(delta: dict[str, object]) -> None:
    """The official client's helper dies on `null` (kind 5)."""
    choice = {"index": 0, **delta, "finish_reason": "stop"}
    told = chunk_delta(json.dumps({"choices": [choice]}).encode(), ATTEMPT)
    assert told.finish_reason == "stop"
    assert json.loads(told.raw)["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


@pytest.mark.parametrize(
    "said",
    [{"function_call": {"name": "f", "arguments": '{"ci'}}, {"refusal": "I can"}, {"audio": {"id": "a", "data": "QQ"}}],
)
def test_what_no_field_holds_is_forwarded_as_it_is_and_more_than_a_text_r6(said: dict[str, Any]) -> None:
    data = chunk(said)
    delta = chunk_delta(data, ATTEMPT)
    assert (delta.text, delta.raw, delta.shape.plain) == ("", data, False)
    assert delta.tool_calls == ()
    nothing = chunk_delta(chunk({**dict.fromkeys(said), "content": "a"}), ATTEMPT)
    assert nothing.shape.plain


@pytest.mark.parametrize("reason", ["insufficient_system_resource", "abort", "error"])
def test_r4_a_reason_that_leaves_half_an_answer_is_no_success(reason: str) -> None:
    with pytest.raises(ProviderUnavailableError):
        chunk_delta(chunk({"content": "a"}, finish_reason=reason), ATTEMPT)


def test_s15_raw_has_no_byte_that_ends_a_line_for_anyone() -> None:
    data = '{"choices":\n[{"delta":{"content":"a\u2028b\u2029c\x85d\ufeffe\U0001f680"}}]}'.encode()
    delta = chunk_delta(data, ATTEMPT)
    assert delta.raw == (
        b'{"choices": [{"delta":{"content":"a\\u2028b\\u2029c\\u0085d\\ufeffe' + "\U0001f680".encode() + b'"}}]}'
    )
    assert json.loads(delta.raw) == json.loads(data)
    assert delta.text == "a\u2028b\u2029c\x85d\ufeffe\U0001f680"


@pytest.mark.parametrize(
    "data",
    [b"[]", b"3", b"{", b'{"choices":3}', b'{"choices":[{"delta":{"content":3}}]}', b'{"a":NaN}', b'"x"',
     b'{"a":' + b"[" * 100_000, b'{"a":"\n"}', b'{"a":"\x00"}', b'{"a":1} x'],
)  # fmt: skip
def test_r4_a_broken_frame_is_a_failure(data: bytes) -> None:
    with pytest.raises(ProviderResponseError) as caught:
        chunk_delta(data, ATTEMPT)
    assert caught.value.thread_id == "thread-1"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{}]}', b'{"choices":[{"message":3}]}', b'{"choices":{}}',
     b"[" * 100_000, b'{"choices":[{"message":{},"x":NaN}]}', b"\xff"],
)  # fmt: skip
def test_a_completion_that_is_none_is_a_failure(body: bytes) -> None:
    with pytest.raises(ProviderResponseError):
        completion_deltas(body, ATTEMPT)


def test_a_completion_becomes_a_chunk_for_each_choice_and_the_usage_comes_last() -> None:
    message = {"content": "\ud83d\u2028", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{}"}}]}
    choices = [{"index": place, "message": message, "finish_reason": "tool_calls"} for place in (0, 1)]
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    body = json.dumps({"id": "i", "model": "m", "choices": choices, "usage": usage}).encode()
    first, second = completion_deltas(body, ATTEMPT)
    assert (first.choice, first.usage, second.choice, second.usage) == (0, None, 1, Usage(1, 2))
    assert first.text == "\ud83d\u2028"
    assert first.tool_calls == (ToolCallDelta(0, "x", "f", "{}"),)
    assert second.model == "m"
    assert first.raw.isascii()


def test_an_error_in_a_completion_is_that_error() -> None:
    with pytest.raises(ProviderRateLimitedError):
        completion_deltas(b'{"error":{"code":429}}', ATTEMPT)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "rate_limit_exceeded"}, ProviderRateLimitedError),
        ({"code": 429}, ProviderRateLimitedError),
        ({"code": "503"}, ProviderUnavailableError),
        ({"code": 200}, ProviderUnavailableError),
        ({"code": True}, ProviderUnavailableError),
        ({"code": "insufficient_quota", "type": "x"}, ProviderAuthenticationError),
        ({"type": "invalid_request_error"}, ProviderRequestError),
        ({"code": "model_not_found"}, ProviderModelNotFoundError),
        ({"message": "rate limit"}, ProviderUnavailableError),
        ("rate limit", ProviderUnavailableError),
    ],
)
def test_errors_inside_a_stream(error: object, kind: type[ProviderError]) -> None:
    assert type(stream_error(ATTEMPT, error)) is kind
    with pytest.raises(kind):
        chunk_delta(json.dumps({"error": error}).encode(), ATTEMPT)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (204, None, ProviderResponseError),
        (301, None, ProviderResponseError),
        (400, None, ProviderRequestError),
        (401, None, ProviderAuthenticationError),
        (402, None, ProviderAuthenticationError),
        (403, None, ProviderAuthenticationError),
        (404, None, ProviderModelNotFoundError),
        (408, None, ProviderTimeoutError),
        (413, None, ProviderRequestError),
        (422, None, ProviderRequestError),
        (429, None, ProviderRateLimitedError),
        (429, "insufficient_quota", ProviderAuthenticationError),
        (500, None, ProviderUnavailableError),
        (529, None, ProviderUnavailableError),
    ],
)
def test_errors_by_status(status: int, code: str | None, kind: type[ProviderError]) -> None:
    error = status_error(ATTEMPT, status, {}, json.dumps({"error": {"code": code}}).encode())
    assert type(error) is kind
    assert error.details["status"] == status


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"text"}', b'{"detail":[]}', b"[" * 60_000, b"\xff"])
def test_an_error_body_of_any_shape_is_the_error_of_its_status(body: bytes) -> None:
    error = status_error(ATTEMPT, 400, {}, body)
    assert dict(error.details) == {"provider": "local", "status": 400}


@pytest.mark.parametrize("word", ["my prompt", "a" * 65, "a\n", "é", "", 1.5, None, {"a": 1}])
def test_p1_a_code_that_does_not_look_like_one_is_not_kept(word: object) -> None:
    error = status_error(ATTEMPT, 400, {}, json.dumps({"error": {"code": word, "param": word}}).encode())
    assert set(error.details) == {"provider", "status"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "999999999"}, 3600.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2065 07:28:30 GMT", "date": "x"}, 3600.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "Wed, 21 Oct 99999999999999 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 +99999999999999"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "99999999999999"}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "250.75"}, 0.25075),
        ({"retry-after-ms": "0", "retry-after": "7"}, 0.0),
        ({"retry-after-ms": "999999999"}, 3600.0),
        ({"retry-after-ms": "-5", "retry-after": "7"}, 7.0),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after-ms": "inf"}, None),
        ({"retry-after-ms": "1e400", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({}, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date_within_bounds(headers: dict[str, str], seconds: float | None) -> None:
    assert status_error(ATTEMPT, 429, headers, b"").retry_after == seconds
