"""Kinds 5 and 10: a wrong type in what is only kept for the books ends no good answer, and no count goes back."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.anthropic_events import AnthropicEvents
from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import MESSAGE, ServerSentEvent
from adapters.providers.fitting import UnfitError, fitted
from adapters.providers.gemini_chunks import GeminiChunks
from adapters.providers.openai_chunks import OpenAIChunks
from domain.delta import Usage
from domain.errors import ProviderError
from tests.field.bytes_upstream import chunk, datas, doors

ATTEMPT = Attempt("p", "t")
END = chunk({}, "stop")

USAGES: list[tuple[Any, tuple[int, int] | None]] = [
    ("", None),
    ([], None),
    (False, None),
    (3, None),
    ({"prompt_tokens": 1.0, "completion_tokens": 2.0}, (1, 2)),
    ({"prompt_tokens": 1.9, "completion_tokens": "2"}, (1, 2)),
    ({"prompt_tokens": "x", "completion_tokens": 2}, (0, 2)),
    ({"prompt_tokens": None, "completion_tokens": None}, (0, 0)),
    ({"prompt_tokens": -1, "completion_tokens": 2}, (0, 2)),
    ({"prompt_tokens": {}, "completion_tokens": [2]}, (0, 0)),
    ({"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": None}, (1, 2)),
    ({"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": None}}, (1, 2)),
]


@pytest.mark.parametrize(("usage", "counts"), USAGES)
async def test_an_odd_usage_costs_no_answer(usage: Any, counts: tuple[int, int] | None, tmp_path: Path) -> None:
    async with doors(tmp_path) as at:
        at.upstream.says(chunk({"content": "A"}), chunk({}, "stop", usage=usage))
        first, last, done = await at.streamed()
        assert (first, done) == (datas([chunk({"content": "A"})])[0], b"[DONE]")
        assert json.loads(last)["choices"] == END["choices"]
        assert at.state() == {"code": None, "usage": counts and Usage(*counts), "failures": ()}
        assert (await at.message())["content"] == "A"
        assert (await at.native())[-1][0] == "complete"


def called(**call: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}, **call}]})


ODD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # what comes, what goes out in its place: the same where nobody has to be helped
    (called(id=7), called(id="7")),
    (called(function={"name": "f", "arguments": {"x": [1, None]}}),
     called(type="function", function={"name": "f", "arguments": '{"x":[1,null]}'})),
    (called(function={"name": "f", "arguments": []}), called(function={"name": "f", "arguments": "[]"})),
    (chunk({"content": "A", "role": 3}), chunk({"content": "A", "role": "3"})),
    (chunk({"content": "A", "tool_calls": ""}), chunk({"content": "A", "tool_calls": None})),
    (chunk({"content": "A"}, created="1700000000"), chunk({"content": "A"}, created="1700000000")),
    (chunk({"content": "A"}, model=None), chunk({"content": "A"}, model=None)),
    (chunk({"content": "A"}, model=3), chunk({"content": "A"}, model="3")),
    (chunk({"content": "A", "reasoning": {}}), chunk({"content": "A", "reasoning": None})),
    ({"choices": [{"index": "0", "delta": {"content": "A"}}]}, {"choices": [{"index": 0, "delta": {"content": "A"}}]}),
    ({"choices": [{"index": 0.0, "delta": {"content": "A"}}]}, {"choices": [{"index": 0, "delta": {"content": "A"}}]}),
    ({"choices": [{"index": None, "delta": {"content": "A"}}]},
     {"choices": [{"index": None, "delta": {"content": "A"}}]}),
    ({"choices": {"index": 0, "delta": {"content": "A"}}}, {"choices": [{"index": 0, "delta": {"content": "A"}}]}),
    ({"choices": {"0": {"delta": {"content": "A"}}}}, {"choices": [{"delta": {"content": "A"}}]}),
    ({"choices": [None, {"delta": {"content": "A"}}]}, {"choices": [{"delta": {"content": "A"}}]}),
]  # fmt: skip


def whole(call: dict[str, Any]) -> dict[str, Any]:
    """The chunk without the type of a call, which is said where it was missing."""
    for one in (call["choices"][0].get("delta") or {}).get("tool_calls") or ():
        one.pop("type", None)
    return call


@pytest.mark.parametrize(("came", "goes"), ODD)
async def test_an_odd_type_is_made_the_right_one(came: dict[str, Any], goes: dict[str, Any], tmp_path: Path) -> None:
    async with doors(tmp_path) as at:
        at.upstream.says(came, END)
        first, *rest = await at.streamed()
        assert whole(json.loads(first)) == whole(goes)
        if json.dumps(came) == json.dumps(goes):
            assert first == datas([came])[0]
        assert rest == [*datas([END]), b"[DONE]"]
        assert (await at.plain())[0] == 200
        assert (await at.native())[-1][0] == "complete"


@pytest.mark.parametrize(
    ("reason", "told"),
    [("stop", "stop"), (True, "stop"), (1, "stop"), ({"type": "eos"}, "eos"), ({"x": 1}, "stop"), (["length"], "stop")],
)
async def test_an_odd_reason_for_stopping_is_one(reason: Any, told: str, tmp_path: Path) -> None:
    async with doors(tmp_path) as at:
        at.upstream.says(chunk({"content": "A"}), chunk({}, reason))
        _, last, done = await at.streamed()
        assert (json.loads(last)["choices"][0]["finish_reason"], done) == (told, b"[DONE]")


@pytest.mark.parametrize("reason", [False, 0, "", {}, []])
async def test_no_reason_is_none_r4(reason: Any, tmp_path: Path) -> None:
    async with doors(tmp_path) as at:
        at.upstream.says(chunk({"content": "A"}), chunk({}, reason))
        assert (await at.plain())[0] == 502


@pytest.mark.parametrize(
    "said",
    [{"content": 3}, {"content": {"a": 1}}, {"content": True}],
)
async def test_a_text_of_the_answer_is_not_guessed_at_r4(said: dict[str, Any], tmp_path: Path) -> None:
    async with doors(tmp_path) as at:
        at.upstream.says(chunk(said), END)
        assert (await at.plain())[0] == 502


GOES_BACK = [
    chunk({"content": "A"}, usage={"prompt_tokens": 25, "completion_tokens": 1, "total_tokens": 26}),
    chunk({"content": "B"}, usage={"prompt_tokens": 25, "completion_tokens": 7, "total_tokens": 32}),
    END,
]


@pytest.mark.parametrize("last", [{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
                                  {"prompt_tokens": 25, "completion_tokens": 0, "total_tokens": 25},
                                  {"prompt_tokens": 0, "completion_tokens": 7}, None])  # fmt: skip
async def test_of_each_count_the_larger_is_right_openai(last: Any, tmp_path: Path) -> None:
    """Kind 10; the chunk that would tell of fewer is mended, and tells of the same."""
    async with doors(tmp_path) as at:
        at.upstream.says(*GOES_BACK, {"id": "i", "choices": [], "usage": last})
        *before, told, _ = await at.streamed(include_usage=True)
        assert before == datas(GOES_BACK)
        assert at.state()["usage"] == Usage(25, 7)
        if last is not None:
            total = {"total_tokens": 32} if "total_tokens" in last else {}
            assert json.loads(told)["usage"] == {"prompt_tokens": 25, "completion_tokens": 7, **total}
            assert (await at.plain())[1]["usage"] == {"prompt_tokens": 25, "completion_tokens": 7, **total}


ANTHROPIC = [
    {"type": "message_start", "message": {"role": "assistant", "model": "c", "usage": {
        "input_tokens": 25, "cache_read_input_tokens": 4, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "A"}},
    {"type": "content_block_stop", "index": 0},
]  # fmt: skip


@pytest.mark.parametrize(
    ("last", "usage"),
    [
        ({"input_tokens": 0, "output_tokens": 9}, Usage(29, 9, 4)),
        ({"input_tokens": 30, "cache_read_input_tokens": 0, "output_tokens": 9}, Usage(34, 9, 4)),
        ({"output_tokens": 0}, Usage(29, 1, 4)),
        ({"output_tokens": "9", "input_tokens": 25.0}, Usage(29, 9, 4)),
        ({}, Usage(29, 1, 4)),
        ("", Usage(29, 1, 4)),
        (None, Usage(29, 1, 4)),
    ],
)
async def test_of_each_count_the_larger_is_right_anthropic(last: Any, usage: Usage, tmp_path: Path) -> None:
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last}
    async with doors(tmp_path, "anthropic") as at:
        at.upstream.says(*ANTHROPIC, end, {"type": "message_stop"}, done=False)
        assert (await at.message())["content"] == "A"
        assert at.state()["usage"] == usage


@pytest.mark.parametrize(
    ("last", "usage"),
    [
        ({"promptTokenCount": 0, "candidatesTokenCount": 9}, Usage(25, 9)),
        ({"promptTokenCount": "25", "candidatesTokenCount": 9.0}, Usage(25, 9)),
        ({"promptTokenCount": None}, Usage(25, 1)),
        ("", Usage(25, 1)),
    ],
)
async def test_of_each_count_the_larger_is_right_gemini(last: Any, usage: Usage, tmp_path: Path) -> None:
    counts = {"promptTokenCount": 25, "candidatesTokenCount": 1}
    first = {"candidates": [{"content": {"parts": [{"text": "A"}]}}], "usageMetadata": counts}
    async with doors(tmp_path, "gemini") as at:
        at.upstream.says(first, {"candidates": [{"finishReason": "STOP"}], "usageMetadata": last}, done=False)
        assert (await at.message())["content"] == "A"
        assert at.state()["usage"] == usage


@pytest.mark.parametrize(
    ("block", "call"),
    [
        ({"id": 7, "name": "f", "input": {"x": 1}}, ("7", "f", '{"x":1}')),
        ({"id": "a", "name": "f", "input": '{"x":1}'}, ("a", "f", '{"x":1}')),
        ({"id": "a", "name": "f", "input": None}, ("a", "f", "{}")),
    ],
)
async def test_calls_of_anthropics_with_odd_types(block: Any, call: tuple[str, str, str], tmp_path: Path) -> None:
    frames = [
        ANTHROPIC[0],
        {"type": "content_block_start", "index": "0", "content_block": {"type": "tool_use", **block}},
        {"type": "content_block_stop", "index": None},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    async with doors(tmp_path, "anthropic") as at:
        at.upstream.says(*frames, done=False)
        (made,) = (await at.message())["tool_calls"]
        assert (made["id"], made["function"]["name"], made["function"]["arguments"]) == call


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["choices", "delta", "message", "content", "tool_calls", "function", "arguments", "index", "id", "usage",
         "model", "finish_reason", "type", "error", "code", "detail", "candidates", "parts", "text", "usageMetadata",
         "base_resp", "content_block", "stop_reason", "finishReason", "functionCall", "args", "inlineData",
         "name"]  # fmt: skip
frames = st.recursive(
    json_values,
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=5) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@given(st.lists(frames, min_size=1, max_size=4))
def test_any_json_is_read_or_is_a_providers_error(given_frames: list[Any]) -> None:
    """No frame raises anything else, in any dialect, and what is read is JSON again."""
    for make in (OpenAIChunks, AnthropicEvents, GeminiChunks):
        reader = make(ATTEMPT)
        try:
            for frame in given_frames:
                delta = reader.delta(ServerSentEvent(MESSAGE, json.dumps(frame).encode()))
                if delta is not None and delta.raw:
                    json.loads(delta.raw)
            reader.last()
        except ProviderError:
            continue


class _Inner(msgspec.Struct):
    count: int | None = None
    text: str | None = None
    flag: bool | None = None


class _Outer(msgspec.Struct):
    items: list[_Inner] | None = None
    inner: _Inner | None = None


KIND = msgspec.inspect.type_info(_Outer)


@given(st.dictionaries(st.sampled_from(["items", "inner", "other"]), frames | json_values, max_size=3))
def test_what_fits_is_the_very_object_and_all_else_can_be_decoded(value: dict[str, Any]) -> None:
    try:
        mended = fitted(value, KIND)
    except UnfitError:
        return
    msgspec.convert(mended, _Outer)
    assert fitted(mended, KIND) is mended
