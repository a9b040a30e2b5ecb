"""Kind 9: images, code and late words of Gemini's answers reach every door; an empty answer is never stored."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from adapters.providers.gemini_parts import extra_of, fenced, joined_extra, read_media
from tests.field.bytes_upstream import ASK, chunk, datas, doors

PNG = {"mimeType": "image/png", "data": "iVBORw0="}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}, "index": 0}


def said(*parts: Any, finish: str | None = None) -> dict[str, Any]:
    ended = {} if finish is None else {"finishReason": finish}
    return {"candidates": [{"content": {"parts": [*parts], "role": "model"}, **ended}], "modelVersion": "g-1"}


async def test_images_have_openrouters_shape_at_each_door(tmp_path: Path) -> None:
    other = {**IMAGE, "image_url": {"url": "data:image/webp;base64,AA"}, "index": 1}
    async with doors(tmp_path, "gemini") as at:
        at.upstream.says(
            said({"text": "Look: "}, {"inlineData": PNG}),
            said({"inlineData": {"mimeType": "image/webp", "data": "AA"}}, finish="STOP"),
            done=False,
        )
        chunks = [json.loads(data)["choices"][0]["delta"] for data in (await at.streamed())[:-1]]
        assert [one.get("images") for one in chunks] == [[IMAGE], [other]]
        message = await at.message()
        assert (message["content"], message["images"]) == ("Look: ", [IMAGE, other])
        native = [data for kind, data in await at.native() if kind == "delta"]
        assert [one.get("images") for one in native] == [[IMAGE], [other]]
        async with openai.AsyncOpenAI(base_url=f"{at.service.url}/v1", api_key="x") as sdk:
            messages: list[Any] = [{"role": "user", "content": "hi"}]
            async with sdk.chat.completions.stream(model="up/m", messages=messages) as stream:
                final = await stream.get_final_completion()
        assert (final.choices[0].message.model_extra or {})["images"] == [IMAGE, other]


async def test_an_answer_that_is_an_image_is_stored(tmp_path: Path) -> None:
    async with doors(tmp_path, "gemini") as at:
        at.upstream.says(said({"inlineData": PNG}, finish="STOP"), done=False)
        body = {"model": at.model, "messages": ASK}
        first = await at.service.client.post("/v1/chat/completions", json=body)
        again = await at.service.client.post("/v1/chat/completions", json=body)
        assert (first.headers["x-cache"], again.headers["x-cache"]) == ("miss", "hit-l1")
        assert again.json()["choices"][0]["message"]["images"] == [IMAGE]


async def test_code_and_what_it_printed_are_text_in_fences(tmp_path: Path) -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)\n"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}
    shown = "\n```python\nprint(1)\n```\n\n```\n1\n```\nDone."
    async with doors(tmp_path, "gemini") as at:
        at.upstream.says(said(code), said(result, {"text": "Done."}, finish="STOP"), done=False)
        assert (await at.message())["content"] == shown
        assert "".join(data.get("text", "") for kind, data in await at.native() if kind == "delta") == shown


def test_a_fence_is_longer_than_those_in_the_code() -> None:
    assert fenced({"code": "````\nx", "language": "MARKDOWN"}, None) == "\n`````markdown\n````\nx\n`````\n"
    assert fenced({"code": "x", "language": "a b"}, None) == "\n```\nx\n```\n"
    assert fenced(None, {"output": "1"}) == "\n```\n1\n```\n"
    assert [fenced({}, {}), fenced({"code": 3}, None), fenced("x", {"outcome": "OUTCOME_FAILED"})] == ["", "", ""]


def test_other_media_have_a_place_too() -> None:
    sound = ("audio/L16;rate=24000", "data:audio/l16;base64,QUJD")
    assert json.loads(extra_of([sound, sound], 0))["audio"]["data"] == "QUJDQUJD"
    assert json.loads(extra_of([("application/pdf", "data:application/pdf;base64,AA")], 2))["files"][0]["index"] == 2
    assert read_media(None, {"mimeType": "image/png", "fileUri": "gs://a"}) == ("image/png", "gs://a")
    assert read_media({"data": "AA"}, None) == (
        "application/octet-stream",
        "data:application/octet-stream;base64,AA",
    )
    assert [read_media({"mimeType": "image/png"}, None), read_media(3, "x")] == [None, None]
    assert json.loads(joined_extra(b'{"images":[]}', b'{"extra_content":{}}')) == {"images": [], "extra_content": {}}


async def test_pictures_of_thoughts_are_not_shown(tmp_path: Path) -> None:
    async with doors(tmp_path, "gemini") as at:
        at.upstream.says(said({"inlineData": PNG, "thought": True}, {"text": "A"}, finish="STOP"), done=False)
        message = await at.message()
        assert (message["content"], message.get("images")) == ("A", None)


async def test_words_behind_an_early_end_are_kept(tmp_path: Path) -> None:
    """The end that came before the first word is told behind the last one, whether another comes or not."""
    for last in (said({"text": "B"}), said({"text": "B"}, finish="STOP")):
        async with doors(tmp_path, "gemini") as at:
            at.upstream.says(said({"text": ""}, finish="STOP"), said({"text": "A"}), last, done=False)
            *chunks, done = await at.streamed()
            reasons = [json.loads(data)["choices"][0]["finish_reason"] for data in chunks]
            assert ([one for one in reasons if one], done) == (["stop"], b"[DONE]")
            assert reasons[-1] == "stop"
            assert (await at.message())["content"] == "AB"
            assert (await at.native())[-1][0] == "complete"


async def test_words_behind_an_end_that_was_not_early_are_kept_too(tmp_path: Path) -> None:
    usage = {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}}
    async with doors(tmp_path, "gemini") as at:
        at.upstream.says(said({"text": "A"}, finish="STOP"), {**said({"text": "B"}), **usage}, done=False)
        assert (await at.message())["content"] == "AB"
        usage_seen = at.state()["usage"]
        assert (usage_seen.prompt_tokens, usage_seen.completion_tokens) == (1, 2)


async def test_words_behind_an_early_end_in_openais_dialect_are_kept(tmp_path: Path) -> None:
    frames = [chunk({"content": ""}, "stop"), chunk({"content": "A"})]
    async with doors(tmp_path) as at:
        at.upstream.says(*frames)
        assert await at.streamed() == [*datas(frames), b"[DONE]"]
        assert (await at.message())["content"] == "A"


def anthropic(*texts: str, stop: str = "end_turn") -> list[dict[str, Any]]:
    blocks = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts
    ]
    return [
        {"type": "message_start", "message": {"role": "assistant", "model": "c"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *blocks,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


EMPTY: list[tuple[str, list[Any]]] = [
    ("openai", [chunk({"role": "assistant", "content": ""}), chunk({}, "stop")]),
    ("openai", [chunk({"content": " \n"}), chunk({}, "stop")]),
    ("openai", [chunk({"reasoning_content": "hm"}), chunk({}, "stop")]),
    ("openai", [chunk({}, "stop"), {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}]),
    ("anthropic", anthropic()),
    ("anthropic", anthropic("\n")),
    ("gemini", [said({"text": ""}, finish="STOP")]),
    ("gemini", [said({"text": "hm", "thought": True}), said(finish="STOP")]),
    ("gemini", [{"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3}}]),
]


@pytest.mark.parametrize(("kind", "frames"), EMPTY)
async def test_an_empty_answer_is_told_and_never_stored_k1(kind: str, frames: list[Any], tmp_path: Path) -> None:
    async with doors(tmp_path, kind) as at:
        at.upstream.says(*frames, done=kind == "openai")
        for _ in range(2):
            answer = await at.service.client.post("/v1/chat/completions", json={"model": at.model, "messages": ASK})
            assert (answer.status_code, answer.headers["x-cache"]) == (200, "miss")
            assert answer.json()["choices"][0]["finish_reason"] == "stop"
        assert len(at.upstream.requests) == 2


FULL: list[tuple[str, list[Any]]] = [
    ("openai", [chunk({"refusal": "no"}), chunk({}, "stop")]),
    ("openai", [chunk({"images": [IMAGE]}, usage={"prompt_tokens": 1}), chunk({}, "stop")]),
    ("openai", [chunk({"images": [IMAGE]}, "stop")]),
    ("openai", [chunk({"content": "A"}), chunk({}, "stop")]),
    ("anthropic", anthropic("A")),
    ("gemini", [said({"functionCall": {"name": "f"}}, finish="STOP")]),
]


@pytest.mark.parametrize(("kind", "frames"), FULL)
async def test_an_answer_that_says_something_is_stored(kind: str, frames: list[Any], tmp_path: Path) -> None:
    async with doors(tmp_path, kind) as at:
        at.upstream.says(*frames, done=kind == "openai")
        for seen in ("miss", "hit-l1"):
            answer = await at.service.client.post("/v1/chat/completions", json={"model": at.model, "messages": ASK})
            assert answer.headers["x-cache"] == seen


WHOLE = {
    "anthropic": {
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "A"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 4},
    },
    "gemini": [said({"text": "A"}), said({"functionCall": {"id": "t", "name": "f", "args": {"x": 1}}}, finish="STOP")],
    "openai": {
        "id": "i",
        "object": "chat.completion",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "A",
                    "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}],
                },
                "finish_reason": "tool_calls",
            }
        ],
    },
}


@pytest.mark.parametrize("kind", WHOLE)
async def test_an_answer_in_one_piece_is_read_in_each_dialect(kind: str, tmp_path: Path) -> None:
    """A 200 whose body is JSON where a stream was asked for."""
    async with doors(tmp_path, kind) as at:
        at.upstream.body, at.upstream.kind = json.dumps(WHOLE[kind]).encode(), "application/json"
        message = await at.message()
        assert message["content"] == "A"
        (made,) = message["tool_calls"]
        assert (made["id"], made["function"]) == ("t", {"name": "f", "arguments": '{"x":1}'})


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"3", b"{", b'{"content":3}', b'{"choices":[]}', b"[[]]"])
async def test_json_that_is_no_answer_is_a_failure_r4(kind: str, body: bytes, tmp_path: Path) -> None:
    async with doors(tmp_path, kind) as at:
        at.upstream.body, at.upstream.kind = body, "application/json"
        assert (await at.plain())[0] == 502
