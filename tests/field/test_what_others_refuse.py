"""Kind 11: what OpenAI's dialect allows and Anthropic or Gemini refuses is mapped on the way out, and back where it
returns."""

import asyncio
import json
import re
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from anthropic.types import MessageParam
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from adapters.providers.anthropic_request import TOOL_NAME, encode_request
from adapters.providers.attempt import Attempt
from adapters.providers.gemini_request import TOOL_NAME as GEMINI_NAME
from adapters.providers.gemini_request import encode_request as encode_gemini
from adapters.providers.vendor_names import ToolIds, ToolNames
from domain.model import CompletionRequest, Json, Message
from tests.field.bytes_upstream import FRESH, doors

ATTEMPT = Attempt("p", "t")
HI = Message("user", "Hi")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MEDIA = {"image/jpeg", "image/png", "image/gif", "image/webp"}
OFFICIAL: TypeAdapter[list[MessageParam]] = TypeAdapter(list[MessageParam])
"""What the official client says that messages are."""
PDF = "data:application/pdf;base64,JVBERi0="
DOCUMENT: Json = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}


def anthropic(*messages: Message, **options: Any) -> dict[str, Any]:
    request = CompletionRequest("m", messages, options)
    body, _ = asyncio.run(encode_request(request, "claude-opus-4-5", ATTEMPT))
    sent: dict[str, Any] = json.loads(body)
    check(sent)
    return sent


def gemini(*messages: Message, **options: Any) -> dict[str, Any]:
    request = CompletionRequest("m", messages, options)
    body, _ = asyncio.run(encode_gemini(request, "gemini-2.5-flash", ATTEMPT))
    sent: dict[str, Any] = json.loads(body)
    return sent


def check(sent: dict[str, Any]) -> None:
    """Refuses what Anthropic does."""
    turns = sent["messages"]
    OFFICIAL.validate_python(turns)
    roles = [turn["role"] for turn in turns]
    assert all(one != other for one, other in pairwise(roles))
    open_calls: list[str] = []
    seen: set[str] = set()
    for turn in turns:
        assert turn["content"]
        results = [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"]
        assert [block["type"] for block in turn["content"]][: len(results)] == ["tool_result"] * len(results)
        if open_calls:
            assert sorted(results) == sorted(open_calls)
        open_calls = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        assert all(map(ID.fullmatch, open_calls))
        assert not seen.intersection(open_calls)
        assert len(set(open_calls)) == len(open_calls)
        seen.update(open_calls)
        for block in turn["content"]:
            check_block(block)
    for block in sent.get("system", ()):
        check_block(block)
    if roles and roles[-1] == "assistant" and (last := turns[-1]["content"][-1])["type"] == "text":
        assert last["text"] == last["text"].rstrip()
    for tool in sent.get("tools", ()):
        assert TOOL_NAME.fullmatch(tool["name"])
        assert tool["input_schema"]["type"] == "object"
    assert all(stop.strip() for stop in sent.get("stop_sequences", ()))


def check_block(block: dict[str, Any]) -> None:
    if block["type"] == "text":
        assert block["text"].strip()
    elif block["type"] == "image" and block["source"]["type"] == "base64":
        assert block["source"]["media_type"] in MEDIA
    elif block["type"] == "tool_use":
        assert TOOL_NAME.fullmatch(block["name"])
        assert isinstance(block["input"], dict)
    elif block["type"] == "tool_result" and isinstance(block.get("content"), list):
        for inner in block["content"]:
            check_block(inner)


def call(*ids: str, name: str = "f", arguments: Any = "{}") -> Message:
    functions: list[Json] = [
        {"id": one, "type": "function", "function": {"name": name, "arguments": arguments}} for one in ids
    ]
    return Message("assistant", None, {"tool_calls": functions})


def result(given_id: str, content: Json = "1") -> Message:
    return Message("tool", content, {"tool_call_id": given_id})


@pytest.mark.parametrize(
    "odd", ["functions.get_weather:0", "call|1", "ü", "", " ", "a" * 65, "chatcmpl-tool/1", "\ud83d", "a\nb"]
)
def test_odd_ids_of_calls_go_out_as_others(odd: str) -> None:
    sent = anthropic(HI, call(odd, "right"), result("right"), result(odd, "2"))
    calls, results = sent["messages"][1]["content"], sent["messages"][2]["content"]
    assert calls[1]["id"] == "right"
    assert [one["content"] for one in results if one["tool_use_id"] == calls[0]["id"]] == ["2"]
    assert sent == anthropic(HI, call(odd, "right"), result("right"), result(odd, "2"))


def test_ids_that_are_said_twice_are_told_apart_by_their_order() -> None:
    sent = anthropic(HI, call("", ""), result("", "1"), result("", "2"), HI, call("x"), result("x", "3"), HI, call("x"),
                     result("x", "4"))  # fmt: skip
    made = [block["id"] for turn in sent["messages"] for block in turn["content"] if block["type"] == "tool_use"]
    told = [(block["tool_use_id"], block["content"]) for turn in sent["messages"] for block in turn["content"]
            if block["type"] == "tool_result"]  # fmt: skip
    assert told == list(zip(made, "1234", strict=True))


@given(st.lists(st.text(max_size=3) | st.sampled_from(["call_1", "a.b", "a_b", "a" * 70]), max_size=12))
def test_two_ids_never_become_one(given_ids: list[str]) -> None:
    """Not even where a caller guesses what an id goes out as."""
    guessed = ToolIds()
    guesses = [guessed.call(one) for one in given_ids]
    ids = ToolIds()
    sent = [ids.call(one) for one in [*given_ids, *guesses]]
    assert len(set(sent)) == len(sent)
    assert all(map(ID.fullmatch, sent))
    assert [ids.given.get(one, one) for one in sent if one in ids.given] == [
        given_id for one, given_id in zip(sent, [*given_ids, *guesses], strict=True) if one in ids.given
    ]


@given(st.lists(st.text(max_size=4) | st.sampled_from(["a.b", "a_b", "a:b", "9a", "a" * 70, "a" * 71]), max_size=8))
@pytest.mark.parametrize("pattern", [TOOL_NAME, GEMINI_NAME])
def test_two_names_never_become_one(pattern: re.Pattern[str], names: list[str]) -> None:
    guesses = [ToolNames(names, pattern).sent(name) for name in names]
    every = list(dict.fromkeys([*names, *guesses]))
    mapped = ToolNames(every, pattern)
    sent = [mapped.sent(name) for name in every]
    assert len(set(sent)) == len(sent)
    assert all(map(pattern.fullmatch, sent))
    assert [mapped.given.get(one, one) for one in sent] == every
    assert all(one == name for one, name in zip(sent, every, strict=True) if pattern.fullmatch(name))


TOOL: Json = {"type": "function", "function": {"name": "mcp.files:read", "parameters": {"properties": {}}}}


async def test_an_odd_name_of_a_tool_comes_back_as_the_callers(tmp_path: Path) -> None:
    async with doors(tmp_path, "anthropic") as at:
        _, mapped = await encode_request(CompletionRequest("m", [HI], {"tools": [TOOL]}), "m", ATTEMPT)
        (name,) = mapped.names
        at.upstream.says(
            {"type": "message_start", "message": {"role": "assistant", "model": "c"}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": name}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
            {"type": "message_stop"},
            done=False,
        )
        choice = {"type": "function", "function": {"name": "mcp.files:read"}}
        body = {
            "model": at.model,
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [TOOL],
            "tool_choice": choice,
        }
        answer = await at.service.client.post("/v1/chat/completions", json=body, headers=FRESH)
        assert answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "mcp.files:read"
        asked = at.upstream.requests[0]
        assert [one["name"] for one in asked["tools"]] == [name]
        assert asked["tool_choice"] == {"type": "tool", "name": name}


async def test_an_odd_name_of_a_tool_comes_back_from_gemini_too(tmp_path: Path) -> None:
    tool: Json = {"type": "function", "function": {"name": "9/read", "parameters": {"type": "object"}}}
    _, (name,) = await encode_gemini(CompletionRequest("m", [HI], {"tools": [tool]}), "m", ATTEMPT)
    async with doors(tmp_path, "gemini") as at:
        part = {"functionCall": {"name": name, "args": {}}}
        at.upstream.says({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}, done=False)
        body = {"model": at.model, "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}
        answer = await at.service.client.post("/v1/chat/completions", json=body, headers=FRESH)
        assert answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "9/read"
        assert at.upstream.requests[0]["tools"][0]["functionDeclarations"][0]["name"] == name


def test_a_name_that_gemini_takes_goes_as_it_is() -> None:
    fits = gemini(HI, tools=[{"type": "function", "function": {"name": "mcp.files:read"}}])
    assert fits["tools"][0]["functionDeclarations"][0]["name"] == "mcp.files:read"


@pytest.mark.parametrize("name", ["read{}", "mcp.files:read/{}"])
def test_names_cost_in_proportion_to_their_number_g6(name: str) -> None:
    def cost(count: int) -> float:
        names = [name.format(number) for number in range(count)]
        started = process_time()
        ToolNames(names, TOOL_NAME)
        return process_time() - started

    assert min(cost(16_000) for _ in range(3)) < 48 * min(cost(1_000) for _ in range(3))


TEXTS: list[tuple[list[Message], list[Any]]] = [
    ([Message("user", " \n"), HI], [("user", ["Hi"])]),
    ([Message("user", [{"type": "text", "text": "\t"}, {"type": "text", "text": "a"}])], [("user", ["a"])]),
    ([HI, Message("assistant", "Once \n")], [("user", ["Hi"]), ("assistant", ["Once"])]),
    ([HI, Message("assistant", [{"type": "text", "text": "a "}, {"type": "text", "text": " "}])],
     [("user", ["Hi"]), ("assistant", ["a"])]),
    ([HI, Message("assistant", "  ")], [("user", ["Hi"])]),
    ([HI, Message("assistant", "a "), HI], [("user", ["Hi"]), ("assistant", ["a "]), ("user", ["Hi"])]),
    ([HI, HI, Message("assistant", "a"), Message("assistant", "b\n")],
     [("user", ["Hi", "Hi"]), ("assistant", ["a", "b"])]),
    ([Message("system", " "), HI, Message("developer", "x")], [("user", ["Hi"])]),
    ([HI, Message("assistant", [{"type": "refusal", "refusal": ""}]), HI], [("user", ["Hi", "Hi"])]),
]  # fmt: skip


@pytest.mark.parametrize(("messages", "turns"), TEXTS)
def test_blank_texts_and_white_space_at_the_end(messages: list[Message], turns: list[Any]) -> None:
    sent = anthropic(*messages)
    assert [(one["role"], [block["text"] for block in one["content"]]) for one in sent["messages"]] == turns


@pytest.mark.parametrize("content", ["", " ", None, [], [{"type": "text", "text": " "}]])
def test_a_result_without_a_word_is_one(content: Json) -> None:
    (block,) = anthropic(HI, call("a"), result("a", content))["messages"][-1]["content"]
    assert block.get("content") in (None, "")


def test_words_between_a_call_and_its_result_go_behind_it() -> None:
    sent = anthropic(HI, call("a"), Message("user", "Well?"), result("a"))
    assert [block["type"] for block in sent["messages"][-1]["content"]] == ["tool_result", "text"]


PARTS: list[tuple[Json, Json, Json]] = [
    # OpenAI's part, Anthropic's block, Gemini's part
    ({"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA"}},
     {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA"}},
     {"inlineData": {"mimeType": "image/jpeg", "data": "AA"}}),
    ({"type": "image_url", "image_url": {"url": "data:IMAGE/JPG;charset=utf-8;x=1;base64,AA\n"}},
     {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA"}},
     {"inlineData": {"mimeType": "image/jpeg", "data": "AA"}}),
    ({"type": "image_url", "image_url": "data:image/png;base64,AA"},
     {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}},
     {"inlineData": {"mimeType": "image/png", "data": "AA"}}),
    ({"type": "image_url", "image_url": "https://example.org/a.png"},
     {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
     {"fileData": {"fileUri": "https://example.org/a.png", "mimeType": "image/png"}}),
    ({"type": "image_url", "image_url": {"url": PDF}}, DOCUMENT,
     {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}),
    ({"type": "image_url", "image_url": {"url": "https://example.org/a.PDF?x=1"}},
     {"type": "document", "source": {"type": "url", "url": "https://example.org/a.PDF?x=1"}},
     {"fileData": {"fileUri": "https://example.org/a.PDF?x=1", "mimeType": "application/pdf"}}),
    ({"type": "file", "file": {"file_data": PDF}}, DOCUMENT,
     {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}),
    ({"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,w6k="}},
     {"type": "document", "title": "a.txt", "source": {"type": "text", "media_type": "text/plain", "data": "é"}},
     {"inlineData": {"mimeType": "text/plain", "data": "w6k="}}),
    ({"type": "file", "file": {"filename": "a.png", "file_data": "data:image/x-png;base64,AA"}},
     {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}},
     {"inlineData": {"mimeType": "image/png", "data": "AA"}}),
]  # fmt: skip


@pytest.mark.parametrize(("part", "block", "theirs"), PARTS)
def test_pictures_and_papers_in_any_part(part: Json, block: Json, theirs: Json) -> None:
    assert anthropic(Message("user", [part]))["messages"][0]["content"] == [block]
    assert gemini(Message("user", [part]))["contents"][0]["parts"] == [theirs]
    told = anthropic(HI, call("a"), result("a", [part]))["messages"][-1]["content"][0]
    assert told["content"] == [block]


@pytest.mark.parametrize("arguments", ["", " ", None, "null", "{}", {}])
def test_no_arguments_are_an_empty_object(arguments: Any) -> None:
    assert anthropic(HI, call("a", arguments=arguments), result("a"))["messages"][1]["content"][0]["input"] == {}
    made = gemini(HI, call("a", arguments=arguments), result("a"))["contents"][1]["parts"][0]["functionCall"]
    assert made["args"] == {}


def test_arguments_that_are_an_object_already() -> None:
    made = anthropic(HI, call("a", arguments={"x": 1}), result("a"))["messages"][1]["content"][0]
    assert made["input"] == {"x": 1}


@pytest.mark.parametrize(
    ("stop", "sent"), [("\n", None), (["\n", "END"], ["END"]), ("", None), (["", " "], None), ("END", ["END"])]
)
def test_ends_of_white_space_are_left_out(stop: Json, sent: Json) -> None:
    assert anthropic(HI, stop=stop).get("stop_sequences") == sent


def test_ends_of_nothing_are_left_out_for_gemini() -> None:
    assert gemini(HI, stop=["", "\n"])["generationConfig"] == {"stopSequences": ["\n"]}
    assert "generationConfig" not in gemini(HI, stop="")


blanks = st.sampled_from(["", " ", "\n", "a", "a ", " a\n"])
contents: st.SearchStrategy[Any] = (
    st.none()
    | blanks
    | st.lists(
        blanks.map(lambda text: {"type": "text", "text": text})
        | st.sampled_from([part for part, _, _ in PARTS if isinstance(part, dict)]),
        max_size=3,
    )
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Whatever OpenAI's dialect allows: any ids, texts, roles in any order, results behind their calls."""
    messages = [HI]
    for _ in range(draw(st.integers(0, 6))):
        role = draw(st.sampled_from(["system", "developer", "user", "assistant", "tool"]))
        if role == "tool":
            ids = draw(st.lists(st.text(max_size=3) | st.sampled_from(["call_1", "a.b:0"]), min_size=1, max_size=3))
            name = draw(st.text(min_size=1, max_size=5))
            messages.append(call(*ids, name=name, arguments=draw(st.sampled_from(["", "{}", '{"x":1}']))))
            messages += [result(one, draw(contents)) for one in ids]
        elif role == "assistant":
            messages.append(Message(role, draw(blanks)))
        else:
            messages.append(Message(role, draw(contents)))
    return messages


@given(conversations())
def test_any_conversation_becomes_one_that_anthropic_takes(messages: list[Message]) -> None:
    anthropic(*messages)
