"""What the doors write obeys the EventSource standard for any text, and does not depend on where a reader began."""

import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delta import PLAIN, Delta, Dialect, Shape, ToolCallDelta, Usage
from domain.events import Answer
from domain.model import Batch, Cancelled, Complete, Event, Failed, Status, StatusState, StreamInfo
from entrypoints.wire import json_text
from entrypoints.wire.event_run import escaped
from entrypoints.wire.native import NativeEncoder
from entrypoints.wire.openai import OpenAIEncoder
from entrypoints.wire.openai_plain import CompletionAssembler
from entrypoints.wire.written_answers import WrittenAnswers
from tests.event_source import EventSourceClient, parse

INFO = StreamInfo("s_test", "0a1b2c3d", "fast", 1_700_000_000, "t_1")
TRICKY = [
    "\r",
    "\n",
    "\r\n",
    "\u2028",
    "\u2029",
    "\x85",
    "\ufeff",
    "\0",
    "\ud800",
    "\udc00",
    "😀",
    "data: [DONE]\n\n",
    '"',
]
texts = st.lists(st.one_of(st.text(), st.sampled_from(TRICKY), st.characters(categories=["Cs"]))).map("".join)
USAGE = Usage(9, 3)


def native(*events: Event) -> bytes:
    return NativeEncoder(INFO).encode(Batch(0, events))


def openai(*events: Event, include_usage: bool = False) -> bytes:
    return OpenAIEncoder(INFO, include_usage=include_usage).encode(Batch(0, events))


@given(st.lists(texts, min_size=1, max_size=9))
def test_texts_in_a_run_are_escaped_as_each_alone_is(pieces: list[str]) -> None:
    assert escaped(pieces) == [json_text.dumps(piece).decode()[1:-1] for piece in pieces]
    assert escaped(['say ",', "x"]) == ['say \\",', "x"]


@given(st.lists(texts, min_size=1, max_size=5))
def test_any_text_is_data_and_nothing_else_s15(pieces: list[str]) -> None:
    for body in (native(*map(Delta, pieces)), openai(*map(Delta, pieces))):
        assert body.count(b"\n") == body.count(b"\n\n") * 2 + body.count(b"id: ") + body.count(b"event: delta\n")
        for seen in (b"\r", b"\xe2\x80\xa8", b"\xe2\x80\xa9", b"\xc2\x85", b"\xef\xbb\xbf", b"\0"):
            assert seen not in body
    seen_native = [json.loads(event.data)["text"] for event in parse(native(*map(Delta, pieces)))]
    # Two halves of one character are that character, once they stand together in JSON.
    pieces = [piece.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for piece in pieces]
    assert seen_native == pieces
    chunks = [json.loads(event.data) for event in parse(openai(*map(Delta, pieces)))]
    assert [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks] == pieces


def test_every_event_has_an_id_and_native_ids_have_no_gap_s1() -> None:
    events = parse(
        native(
            Status(StatusState.QUEUED, 3),
            Status(StatusState.STARTED),
            Delta("a"),
            Delta(usage=USAGE),
            Complete("stop", USAGE, "m", "p/m"),
        )
    )
    assert [event.id for event in events] == [f"0a1b2c3d-{seq}" for seq in range(5)]
    assert [event.event for event in events] == ["status", "status", "delta", "delta", "complete"]
    assert json.loads(events[0].data) == {"state": "queued", "position": 3}
    assert json.loads(events[1].data) == {"state": "started"}
    assert json.loads(events[4].data) == {
        "finish_reason": "stop",
        "model": "m",
        "target": "p/m",
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
    }


def test_native_tells_tools_reasoning_and_ends() -> None:
    call = ToolCallDelta(0, "c1", "look", '{"a":')
    failed = Failed("provider_timeout", "Silent.", retryable=True, retry_after=2.0)
    events = parse(native(Delta(reasoning="hm", tool_calls=(call,), choice=1, finish_reason="tool_calls"), failed))
    assert json.loads(events[0].data) == {
        "text": "",
        "choice": 1,
        "reasoning": "hm",
        "tool_calls": [{"index": 0, "id": "c1", "name": "look", "arguments": '{"a":'}],
        "finish_reason": "tool_calls",
    }
    assert json.loads(events[1].data) == {
        "code": "provider_timeout",
        "message": "Silent.",
        "retryable": True,
        "retry_after": 2.0,
        "thread_id": "t_1",
    }
    assert parse(native(Cancelled("requested")))[0].event == "cancelled"


def test_openai_forwards_the_providers_own_bytes() -> None:
    raw = b'{"id":"x","choices":[{"index":0,"delta":{"content":"a","new_field":[1]}}],"weird":{"k":null}}'
    body = openai(Delta("a", raw, Dialect.OPENAI))
    assert body == b"id: 0a1b2c3d-0\ndata: " + raw + b"\n\n"


@pytest.mark.parametrize("dialect", [Dialect.OPENAI, Dialect.NATIVE])
def test_openai_hides_usage_from_who_did_not_ask(dialect: Dialect) -> None:
    raw = b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}'
    usage = Delta(raw=raw, dialect=dialect, usage=USAGE) if dialect is Dialect.OPENAI else Delta(usage=USAGE)
    assert openai(usage) == b""
    (event,) = parse(openai(usage, include_usage=True))
    assert json.loads(event.data)["usage"]["total_tokens"] == 12
    assert json.loads(event.data)["choices"] == []


def test_openai_ends_with_done_or_with_an_error_and_no_done() -> None:
    assert parse(openai(Complete("stop", None, "m", "p/m")))[0].data == "[DONE]"
    for terminal in (Failed("upstream_truncated", "Cut.", retryable=True), Cancelled("requested")):
        (event,) = parse(openai(terminal))
        assert json.loads(event.data)["error"]["code"] in {"upstream_truncated", "cancelled"}
        assert event.id == "0a1b2c3d-0"


def test_openai_passes_over_status() -> None:
    assert openai(Status(StatusState.QUEUED, 1)) == b""


SHAPES = [Shape(b'{"id":"%d","content":"' % number, '"é}'.encode(), Dialect.OPENAI) for number in range(2)]
any_event = st.one_of(
    st.builds(Delta.shaped, st.sampled_from(["", "a", "é😀"]), st.sampled_from(SHAPES)),
    st.sampled_from([Delta("a", raw, Dialect.OPENAI) for raw in (b"{}", b'"\xc3\xa9"', b'"\xff"')]),
    st.text(max_size=3).map(Delta),
    st.builds(Delta.shaped, st.sampled_from(["", "a", '"', '",', "\\", "é\u2028", "\ud83d", "\0"]), st.just(PLAIN)),
    st.sampled_from([Status(StatusState.STARTED), Delta(role="assistant"), Delta(finish_reason="stop")]),
    st.just(Cancelled("requested")),
)


@given(st.lists(any_event, max_size=12), st.integers(0, 12), st.sampled_from([0, 1_018, 10**6]))
def test_bytes_do_not_depend_on_where_a_reader_began_s3(events: list[Event], cut: int, first: int) -> None:
    """Nor on how many events are written at once."""
    for encoder in (NativeEncoder(INFO), OpenAIEncoder(INFO, include_usage=True)):
        whole = encoder.encode(Batch(first, events))
        events_before = encoder.encode(Batch(first, events[:cut]))
        assert whole == events_before + encoder.encode(Batch(first + len(events[:cut]), events[cut:]))
        assert whole == b"".join(encoder.encode(Batch(first + seq, [event])) for seq, event in enumerate(events))


def replays(written: WrittenAnswers, answer: Answer, *, include_usage: bool) -> None:
    """What hits on it write, in streams of their own, is what is written without a memory."""
    for epoch in ("0a1b2c3d", "ffffffff", "0a1b2c3d", "12345678"):
        info = INFO._replace(epoch=epoch)
        plain = OpenAIEncoder(info, include_usage=include_usage).encode(Batch(0, list(answer)))
        remembered = OpenAIEncoder(info, include_usage=include_usage, written=written)
        assert remembered.encode(Batch(0, answer)) == plain
        assert remembered.encode(Batch(0, list(answer))) == plain


@given(st.lists(any_event.filter(lambda event: isinstance(event, Delta)), max_size=12))
def test_a_hit_writes_what_the_one_before_it_wrote_k3(events: list[Event]) -> None:
    """Whatever dialect its events are of; the stream's own name in it is the new one's."""
    answer = Answer(cast("list[Delta]", [*events, Delta("", b'{"choices":[]}', Dialect.OPENAI, usage=USAGE)]), 1)
    written = WrittenAnswers()
    for include_usage in (True, False, True):
        replays(written, answer, include_usage=include_usage)
        replays(written, Answer(list(answer), 1), include_usage=include_usage)


def test_written_answers_are_bounded() -> None:
    written = WrittenAnswers(max_bytes=1_000)
    answers = [Answer([Delta.shaped("x" * 100, SHAPES[0]), Complete("stop", None, "m", "p/m")], 1) for _ in range(20)]
    for answer in answers:
        replays(written, answers[0], include_usage=True)
        replays(written, answer, include_usage=True)
    assert written.get(answers[0], include_usage=True) is not None
    assert written.get(answers[0], include_usage=False) is None
    kept = [answer for answer in answers if written.get(answer, include_usage=True) is not None]
    assert 2 <= len(kept) <= 6
    huge = Answer([Delta.shaped("x" * 2_000, SHAPES[0])], 1)
    replays(written, huge, include_usage=True)
    assert written.get(huge, include_usage=True) is None


def test_openai_names_the_model_where_another_dialect_does_r7() -> None:
    events = (
        Delta("a", model="claude-x"),
        Delta("b"),
        Delta(finish_reason="stop", model="claude-x"),
        Delta(usage=USAGE),
    )
    chunks = [json.loads(event.data) for event in parse(openai(*events, include_usage=True))]
    assert [chunk["model"] for chunk in chunks] == ["claude-x", "fast", "claude-x", "fast"]
    whole = CompletionAssembler(INFO)
    whole.add(Batch(0, events))
    assert whole.completion()["model"] == "claude-x"
    nameless = CompletionAssembler(INFO)
    nameless.add(Batch(0, events[1:2]))
    assert nameless.completion()["model"] == "fast"


def test_farewells_keep_the_last_id() -> None:
    client = EventSourceClient()
    client.read(native(Delta("a")) + NativeEncoder(INFO).farewell(1500))
    assert (client.last_event_id, client.retry, len(client.events)) == ("0a1b2c3d-0", 1500, 1)
    client = EventSourceClient()
    client.read(openai(Delta("a")) + OpenAIEncoder(INFO, include_usage=False).farewell(1500))
    assert (client.last_event_id, client.retry) == ("0a1b2c3d-0", 1500)
    assert json.loads(client.events[-1].data)["error"]["code"] == "server_draining"


def test_a_plain_completion_is_joined_from_its_chunks() -> None:
    raws = [
        b'{"id":"c","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":'
        b'{"role":"assistant","content":"He"},"logprobs":{"content":[{"token":"He"}]},"finish_reason":null}]}',
        b'{"id":"c","choices":[{"index":0,"delta":{"content":"y","tool_calls":[{"index":0,"id":"t1","type":"function",'
        b'"function":{"name":"f","arguments":"{"}},{"index":1,"id":"t2","type":"function","function":{"name":"g",'
        b'"arguments":""}}]},"logprobs":{"content":[{"token":"y"}]}}]}',
        b'{"id":"c","choices":[{"index":1,"delta":{"content":"\\ud83d","x_new":"p"}}]}',
        b'{"id":"c","choices":[{"index":1,"delta":{"content":"\\ude00","x_new":"q"},"finish_reason":"stop"},{"index":0,'
        b'"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]},"finish_reason":"tool_calls"}]}',
        b'{"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"service_tier":"x"}',
    ]
    assembler = CompletionAssembler(INFO)
    assembler.add(Batch(0, [Status(StatusState.STARTED), *(Delta(raw=raw, dialect=Dialect.OPENAI) for raw in raws)]))
    whole = json.loads(assembler.body())
    assert whole == {
        "id": "c",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "service_tier": "x",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hey",
                    "tool_calls": [
                        {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                        {"id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}},
                    ],
                },
                "finish_reason": "tool_calls",
                "logprobs": {"content": [{"token": "He"}, {"token": "y"}]},
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": "😀", "x_new": "q"},
                "finish_reason": "stop",
            },
        ],
    }


SIGNED = b'{"extra_content":{"google":{"thought_signature":"c2ln"}}}'
DETAILS = b'{"reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"c2ln","index":0}]}'


def test_what_the_dialect_has_no_field_for_stands_in_the_call_and_in_the_delta() -> None:
    signed = Delta(tool_calls=(ToolCallDelta(0, "c1", "look", "{}", SIGNED),), extra=DETAILS)
    (chunk,) = parse(OpenAIEncoder(INFO, include_usage=False).encode(Batch(0, [signed])))
    delta = json.loads(chunk.data)["choices"][0]["delta"]
    assert delta["tool_calls"][0]["extra_content"] == json.loads(SIGNED)["extra_content"]
    assert delta["reasoning_details"] == json.loads(DETAILS)["reasoning_details"]
    assembler = CompletionAssembler(INFO)
    assembler.add(Batch(0, [signed]))
    message = json.loads(assembler.body())["choices"][0]["message"]
    assert message["tool_calls"][0]["extra_content"] == delta["tool_calls"][0]["extra_content"]
    assert message["reasoning_details"] == delta["reasoning_details"]
    (event,) = parse(native(signed))
    assert json.loads(event.data) == {
        "text": "",
        "tool_calls": [{"index": 0, "id": "c1", "name": "look", "arguments": "{}", **json.loads(SIGNED)}],
        **json.loads(DETAILS),
    }


def test_usage_has_details_where_there_are_any() -> None:
    usage = Delta(finish_reason="stop", usage=Usage(9, 3, 5, 2))
    (chunk,) = parse(OpenAIEncoder(INFO, include_usage=True).encode(Batch(0, [usage])))
    assert json.loads(chunk.data)["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


def test_a_plain_completion_of_another_dialect_is_built_from_fields() -> None:
    assembler = CompletionAssembler(INFO)
    call = ToolCallDelta(0, "c1", "look", "{}")
    events = [
        Delta(role="assistant"),
        Delta("a"),
        Delta("b", tool_calls=(call,)),
        Delta(finish_reason="stop", usage=USAGE),
    ]
    assembler.add(Batch(0, events))
    whole = json.loads(assembler.body())
    assert whole["id"] == "chatcmpl-s_test"
    assert whole["choices"][0]["message"]["content"] == "ab"
    assert whole["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": "{}"}
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"] == {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
