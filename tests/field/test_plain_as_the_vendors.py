"""Kinds 1 and 2: what a chunk holds reaches every door, and a plain answer is what the vendor's own would be."""

from pathlib import Path
from typing import Any

import pytest

from tests.field.bytes_upstream import chunk, datas, doors

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
END = chunk({}, "stop")

PARTS = {
    "images": [IMAGE],
    "annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.org/"}}],
    "refusal": "no",
    "function_call": {"name": "f", "arguments": "{}"},
    "audio": {"id": "a", "data": "QQ==", "transcript": "hi"},
    "invented_tomorrow": {"deep": [1]},
}


@pytest.mark.parametrize("name", PARTS)
async def test_what_a_chunk_with_usage_holds_is_not_hidden(name: str, tmp_path: Path) -> None:
    """Kind 1: only a chunk whose `choices` are empty is hidden; the `usage` of others stays as it was sent (D2)."""
    said = chunk({name: PARTS[name]}, usage=USAGE)
    frames = [chunk({"role": "assistant", "content": ""}, usage=USAGE), said, chunk({}, "stop", usage=USAGE)]
    hidden = {**chunk({}), "choices": [], "usage": USAGE}
    async with doors(tmp_path) as at:
        at.upstream.says(*frames, hidden)
        assert await at.streamed() == [*datas(frames), b"[DONE]"]
        assert await at.streamed(include_usage=True) == [*datas([*frames, hidden]), b"[DONE]"]
        assert (await at.message())[name] == PARTS[name]
        shown = [data[name] for kind, data in await at.native() if kind == "delta" and name in data]
        assert shown == [PARTS[name]]


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning": "hm"},
        {"reasoning_content": "hm"},
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "index": 0}]},
        {},
    ],
)
async def test_fields_with_a_place_of_their_own_are_not_hidden_either(delta: dict[str, Any], tmp_path: Path) -> None:
    frames = [chunk(delta, usage=USAGE), chunk({"content": "A"}, usage=USAGE), chunk({}, "stop", usage=USAGE)]
    async with doors(tmp_path) as at:
        at.upstream.says(*frames)
        assert await at.streamed() == [*datas(frames), b"[DONE]"]
        message = await at.message()
        for name, value in delta.items():
            if name == "tool_calls":
                assert message[name] == [{part: one[part] for part in one if part != "index"} for one in value]
            else:
                assert message[name] == value
        assert message["content"] == "A"


def filtered(severity: str) -> dict[str, Any]:
    return {"hate": {"filtered": False, "severity": severity}}


def choice(content: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish, **more}]}


THINKING = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]

PLAIN: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any]]] = {
    # frames, what the message has, what the choice has
    "mistral: a list of parts, then texts": (
        [chunk({"content": [{"type": "text", "text": "A"}]}), chunk({"content": "B"}), END], {"content": "AB"}, {}
    ),
    "mistral: texts, then a list": (
        [chunk({"content": "A"}), chunk({"content": [{"type": "text", "text": "B"}]}), END], {"content": "AB"}, {}
    ),
    "mistral: thoughts as parts": (
        [chunk({"content": THINKING}), chunk({"content": THINKING}), chunk({"content": "A"}), chunk({"content": "B"}),
         END],
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "HmHm"}]},
                     {"type": "text", "text": "AB"}]},
        {},
    ),
    "minimax: a last frame with the whole message": (
        [chunk({"content": "Hel"}), chunk({"content": "lo"}),
         {"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
          "message": {"role": "assistant", "content": "Hello", "audio_content": "x"}}],
          "base_resp": {"status_code": 0}}],
        {"content": "Hello", "audio_content": "x"}, {"finish_reason": "stop"},
    ),
    "minimax: nothing but that frame": (
        [{"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls",
          "message": {"role": "assistant", "content": "Hello", "tool_calls": [
              {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}]}],
        {"content": "Hello", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"finish_reason": "tool_calls"},
    ),
    "chunks that say message for delta": (
        [{"choices": [{"index": 0, "message": {"content": "A"}}]},
         {"choices": [{"index": 0, "message": {"content": "B"}}]}, END], {"content": "AB"}, {},
    ),
    "azure: filters said again with each chunk": (
        [choice("A", content_filter_results=filtered("safe")), choice("B", content_filter_results=filtered("safe")),
         choice("", "stop", content_filter_results=filtered("low"))],
        {"content": "AB"}, {"content_filter_results": filtered("low"), "finish_reason": "stop"},
    ),
    "openrouter: reasons said again": (
        [choice("A", native_finish_reason=None), choice("", "stop", native_finish_reason="STOP"),
         choice("", None, native_finish_reason="STOP")],
        {"content": "A"}, {"native_finish_reason": "STOP", "finish_reason": "stop"},
    ),
    "ollama: stop behind tool_calls": (
        [chunk({"content": "A"}, "tool_calls"), END], {"content": "A"}, {"finish_reason": "tool_calls"},
    ),
    "texts by nature": (
        [chunk({"reasoning_content": "a", "refusal": "b", "audio": {"id": "i", "data": "c", "transcript": "d"}}),
         chunk({"reasoning_content": "A", "refusal": "B", "audio": {"id": "i", "data": "C", "transcript": "D"}}), END],
        {"reasoning_content": "aA", "refusal": "bB", "audio": {"id": "i", "data": "cC", "transcript": "dD"}}, {},
    ),
    "words that are no texts": (
        [chunk({"content": "A", "mood": "x", "format": "md"}), chunk({"content": "B", "mood": "y", "format": "md"}),
         chunk({"mood": "", "format": None}, "stop")],
        {"content": "AB", "mood": "y", "format": "md"}, {},
    ),
    "signed thoughts in pieces": (
        [chunk({"reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0, "format": "f"}]}),
         chunk({"reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0, "format": "f"}]}),
         chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0, "format": "f"}]}), END],
        {"reasoning_details": [{"type": "reasoning.text", "text": "ab", "index": 0, "format": "f", "signature": "s"}]},
        {},
    ),
    "two images of the same number": (
        [chunk({"images": [{**IMAGE, "index": 0}]}), chunk({"images": [{"type": "image_url", "image_url": {"url": "x"},
                                                                       "index": 0}]}), END],
        {"images": [{**IMAGE, "index": 0}, {"type": "image_url", "image_url": {"url": "x"}, "index": 0}]}, {},
    ),
    "probabilities that are alike": (
        [choice("A", logprobs={"content": [{"token": "A", "logprob": 0.0}]}),
         choice("A", "stop", logprobs={"content": [{"token": "A", "logprob": 0.0}]})],
        {"content": "AA"}, {"logprobs": {"content": [{"token": "A", "logprob": 0.0}] * 2}},
    ),
    "tokens by number": (
        [choice("A", token_ids=[5]), choice("A", "stop", token_ids=[5])], {"content": "AA"}, {"token_ids": [5, 5]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
async def test_a_plain_answer_is_what_the_vendors_own_would_be(name: str, tmp_path: Path) -> None:
    """Kind 2: what is text by nature is appended; of all else the last value that says anything counts."""
    frames, message, rest = PLAIN[name]
    async with doors(tmp_path) as at:
        at.upstream.says(*frames)
        status, body = await at.plain()
        assert status == 200
        (made,) = body["choices"]
        assert {part: made["message"].get(part) for part in message} == message
        assert {part: made.get(part) for part in rest} == rest


async def test_a_whole_message_at_the_end_is_not_told_twice(tmp_path: Path) -> None:
    """Kind 2, streamed and native: of the last frame goes out what had not been said, as a chunk."""
    last = {
        "id": "i",
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}],
        "usage": USAGE,
    }
    said = [chunk({"content": "Hel"}), chunk({"content": "lo"})]
    async with doors(tmp_path) as at:
        at.upstream.says(*said, last)
        *before, mended, done = await at.streamed()
        assert (before, done) == (datas(said), b"[DONE]")
        assert mended == (
            b'{"id":"i","object":"chat.completion.chunk","choices":[{"index":0,"finish_reason":"stop","delta":{}}],'
            b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'
        )
        assert "".join(data.get("text", "") for _, data in await at.native()) == "Hello"


async def test_empty_values_never_take_the_place_of_real_ones(tmp_path: Path) -> None:
    """Kind 2: Azure's first chunk, and others that are as empty behind it. The record names the model, too (R7)."""
    empty = {"id": "", "model": "", "created": 0, "object": ""}
    prompt = {**empty, "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    frames = [prompt, chunk({"content": "A"}), {**END, **empty}]
    async with doors(tmp_path) as at:
        at.upstream.says(*frames)
        assert await at.streamed() == [*datas(frames), b"[DONE]"]
        _, body = await at.plain()
        assert {name: body[name] for name in ("id", "model", "created", "object")} == {
            "id": "chatcmpl-1",
            "model": "m-1",
            "created": 1_700_000_000,
            "object": "chat.completion",
        }
        assert body["prompt_filter_results"] == [{"prompt_index": 0}]
        assert (await at.native())[-1][1]["model"] == "m-1"
