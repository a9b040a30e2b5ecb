"""Events and errors of Anthropic's dialect, case by case."""

import json
from typing import Any

import pytest

from adapters.providers.anthropic_errors import status_error, stream_error
from adapters.providers.anthropic_events import AnthropicEvents
from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import ServerSentEvent
from domain.delta import Delta, ToolCallDelta, Usage
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


def read(*payloads: Any) -> list[Delta | None]:
    reader = AnthropicEvents(ATTEMPT)
    return [reader.delta(ServerSentEvent(one["type"], json.dumps(one).encode())) for one in payloads]


def delta(kind: str, **fields: Any) -> Any:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **fields}}


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "ping"},
        {"type": "invented_tomorrow", "x": 1},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "redacted_thinking", "data": ""}},
        {"type": "content_block_start"},
        {"type": "content_block_delta", "index": 0},
        {"type": "message_delta", "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
        delta("text_delta", text=""),
        delta("signature_delta", signature="x"),
        delta("citations_delta", citation={}),
        delta("input_json_delta", partial_json='{"a"'),
    ],
)
def test_what_says_nothing_is_no_delta(payload: Any) -> None:
    assert read(payload) == [None]


def test_a_block_may_start_with_all_it_has() -> None:
    content = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": "é\ud83d"}}
    started = {"type": "content_block_start", "index": 4, "content_block": content}
    (made, ended) = read(started, {"type": "content_block_stop", "index": 4})
    assert made is not None
    assert json.loads(made.tool_calls[0].arguments) == {"a": "é\ud83d"}
    assert ended is None
    text = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}}
    assert read(text) == [Delta("a")]


def test_thoughts_come_again_whole_and_signed_at_the_end_of_their_block() -> None:
    def block(kind: str, **fields: Any) -> Any:
        return {"type": "content_block_start", "index": 0, "content_block": {"type": kind, **fields}}

    stop = {"type": "content_block_stop", "index": 0}
    unsigned = [block("thinking", thinking="lost"), stop]
    signed = [block("thinking", thinking="", signature=""), delta("thinking_delta", thinking="H"),
              delta("thinking_delta", thinking="m"), delta("signature_delta", signature="c2ln"), stop]  # fmt: skip
    omitted = [block("thinking", thinking="", signature="s2"), stop]
    details = [
        json.loads(one.extra)["reasoning_details"]
        for one in read(*unsigned, *signed, block("redacted_thinking", data="x"), stop, *omitted)
        if one and one.extra
    ]
    mark = {"format": "anthropic-claude-v1"}
    assert details == [
        [{"type": "reasoning.text", "text": "Hm", "signature": "c2ln", **mark, "index": 0}],
        [{"type": "reasoning.encrypted", "data": "x", **mark, "index": 1}],
        [{"type": "reasoning.text", "text": "", "signature": "s2", **mark, "index": 2}],
    ]


def test_tokens_of_thoughts_are_counted() -> None:
    usage = {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    payload = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    assert read(payload) == [Delta(finish_reason="stop", usage=Usage(0, 9, reasoning_tokens=4))]


def test_calls_are_counted_apart_from_other_blocks() -> None:
    starts = [
        {"type": "content_block_start", "index": index, "content_block": {"type": kind, "id": f"t{index}", "name": "f"}}
        for index, kind in enumerate(["text", "tool_use", "thinking", "tool_use"])
    ]
    piece = {**delta("input_json_delta", partial_json="{}"), "index": 3}
    assert [one.tool_calls for one in read(*starts, piece) if one] == [
        (ToolCallDelta(0, "t1", "f"),),
        (ToolCallDelta(1, "t3", "f"),),
        (ToolCallDelta(1, arguments="{}"),),
    ]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("pause_turn", "stop"), ("invented", "stop"),
     ("max_tokens", "length"), ("model_context_window_exceeded", "length"), ("tool_use", "tool_calls"),
     ("refusal", "content_filter")],
)  # fmt: skip
def test_reasons_for_stopping(reason: str, finish: str) -> None:
    payload = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 3}}
    assert read(payload) == [Delta(finish_reason=finish, usage=Usage(0, 3))]


def test_counts_are_within_bounds() -> None:
    usage = {"input_tokens": 10**80, "cache_read_input_tokens": -3, "output_tokens": -1}
    payload = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    assert read(payload) == [Delta(finish_reason="stop", usage=Usage(1 << 24, 0))]


@pytest.mark.parametrize("usage", ["", None, {}, {"input_tokens": "many"}])
def test_what_counts_nothing_is_no_usage(usage: object) -> None:
    """Kind 5: else an answer that nobody counted would be one of no tokens."""
    payload = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    assert read(payload) == [Delta(finish_reason="stop")]


def test_halves_of_an_emoji_in_two_events_go_through() -> None:
    assert [
        one.text for one in read(delta("text_delta", text="\ud83d"), delta("text_delta", text="\ude00")) if one
    ] == [
        "\ud83d",
        "\ude00",
    ]


@pytest.mark.parametrize(
    "data",
    [b"[]", b"3", b"{", b'{"a":NaN}',
     b'{"type":"content_block_delta","delta":{"text":3}}', b'{"a":' + b"[" * 100_000],
)  # fmt: skip
def test_r4_a_broken_frame_is_a_failure(data: bytes) -> None:
    with pytest.raises(ProviderResponseError) as caught:
        AnthropicEvents(ATTEMPT).delta(ServerSentEvent("message", data))
    assert caught.value.thread_id == "thread-1"


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"type": "overloaded_error"}, ProviderUnavailableError, 529),
        ({"type": "api_error"}, ProviderUnavailableError, 500),
        ({"type": "timeout_error"}, ProviderUnavailableError, 504),
        ({"type": "rate_limit_error"}, ProviderRateLimitedError, 429),
        ({"type": "authentication_error"}, ProviderAuthenticationError, 401),
        ({"type": "permission_error"}, ProviderAuthenticationError, 403),
        ({"type": "billing_error"}, ProviderAuthenticationError, 402),
        ({"type": "not_found_error"}, ProviderModelNotFoundError, 404),
        ({"type": "invalid_request_error"}, ProviderRequestError, 400),
        ({"type": 3, "message": "rate_limit_error"}, ProviderUnavailableError, 500),
        (None, ProviderUnavailableError, 500),
        ("overloaded", ProviderUnavailableError, 500),
    ],
)
def test_errors_inside_a_stream(error: object, kind: type[ProviderError], status: int) -> None:
    told = stream_error(ATTEMPT, error)
    assert type(told) is kind
    assert told.details["status"] == status
    with pytest.raises(kind):
        read({"type": "error", "error": error})


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"error":3}', b'{"error":{"type":"a b"}}', b"[" * 100_000])
def test_a_status_alone_says_enough(body: bytes) -> None:
    told = status_error(ATTEMPT, 529, {}, body)
    assert (type(told), "provider_code" in told.details) == (ProviderUnavailableError, False)
