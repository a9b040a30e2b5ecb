"""Kind 3: tool calls are told apart however a provider numbers and names them, and are the same at every door."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.attempt import Attempt
from adapters.providers.chunk_template import ChunkTemplate
from adapters.providers.delta_feed import DeltaFeed
from adapters.providers.openai_chunks import OpenAIChunks
from domain.delta import Delta
from domain.events import Events
from tests.field.bytes_upstream import ASK, chunk, datas, doors

ATTEMPT = Attempt("p", "t")
OURS = "call_"


def piece(said: str | None = None, **more: Any) -> dict[str, Any]:
    """A fragment of a call; `name` and `said` belong to its function."""
    function = {"name": more.pop("name")} if "name" in more else {}
    return {**more, "function": function if said is None else {**function, "arguments": said}}


def calls(*fragments: dict[str, Any]) -> dict[str, Any]:
    return chunk({"tool_calls": [*fragments]})


TWO = [("a", "f", '{"x":1}'), ("b", "g", "{}")]
NO_ID = [("", "f", '{"x":1}'), ("", "g", "{}")]

CASES: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, str]]]] = {
    "no index (Gemini's OpenAI address)": (
        [calls(piece('{"x":1}', id="a", name="f"), piece("{}", id="b", name="g"))], TWO),
    "no index, in fragments": (
        [calls(piece('{"x"', id="a", name="f")), calls(piece(":1}")), calls(piece("", id="b", name="g")),
         calls(piece("{}"))], TWO),
    "an index of null": (
        [calls(piece('{"x"', index=None, id="a", name="f")), calls(piece(":1}", index=None)),
         calls(piece("{}", index=None, id="b", name="g"))], TWO),
    "index 0 for each (Ollama)": (
        [calls(piece('{"x":1}', index=0, id="a", name="f")), calls(piece("{}", index=0, id="b", name="g"))], TWO),
    "index 0 for each, in one chunk": (
        [calls(piece('{"x":1}', index=0, id="a", name="f"), piece("{}", index=0, id="b", name="g"))], TWO),
    "index 0 for each, in fragments": (
        [calls(piece("", index=0, id="a", name="f")), calls(piece('{"x":1}', index=0)),
         calls(piece("", index=0, id="b", name="g")), calls(piece("{}", index=0))], TWO),
    "id and name first empty, then real": (
        [calls(piece("", index=0, id="", name="")), calls(piece("", index=0, id="a", name="f")),
         calls(piece('{"x":1}', index=0, id="", name="")), calls(piece("{}", index=1, id="b", name="g"))], TWO),
    "name first, id behind it": (
        [calls(piece("", index=0, name="f")), calls(piece('{"x":1}', index=0, id="a")),
         calls(piece("{}", index=1, id="b", name="g"))], TWO),
    "id first, name behind it": (
        [calls(piece(None, index=0, id="a")), calls(piece('{"x":1}', index=0, name="f")),
         calls(piece("{}", index=1, id="b", name="g"))], TWO),
    "empty behind real (Qwen)": (
        [calls(piece("", index=0, id="a", name="f")), calls(piece('{"x":1}', index=0, id="", name="")),
         calls(piece("{}", index=1, id="b", name="g"))], TWO),
    "null behind real": (
        [calls(piece("", index=0, id="a", name="f")), calls(piece('{"x":1}', index=0, id=None, name=None)),
         calls(piece("{}", index=1, id="b", name="g"))], TWO),
    "id and name said again with each fragment": (
        [calls(piece('{"x"', index=0, id="a", name="f")), calls(piece(":1}", index=0, id="a", name="f")),
         calls(piece("{", index=1, id="b", name="g")), calls(piece("}", index=1, id="b", name="g"))], TWO),
    "the same without an index": (
        [calls(piece('{"x"', id="a", name="f")), calls(piece(":1}", id="a", name="f")),
         calls(piece("{", id="b", name="g")), calls(piece("}", id="b", name="g"))], TWO),
    "parallel, in turns": (
        [calls(piece("", index=0, id="a", name="f"), piece("", index=1, id="b", name="g")),
         calls(piece("{", index=1)), calls(piece('{"x":1}', index=0)), calls(piece("}", index=1))], TWO),
    "an index that begins at 1": (
        [calls(piece("", index=1, id="a", name="f")), calls(piece('{"x":1}', index=1)),
         calls(piece("{}", index=2, id="b", name="g"))], TWO),
    "indices of blocks, with gaps": (
        [calls(piece("", index=3, id="a", name="f")), calls(piece('{"x":1}', index=3)),
         calls(piece("", index=7, id="b", name="g")), calls(piece("{}", index=7))], TWO),
    "an index that grows with each fragment": (
        [calls(piece("", index=0, id="a", name="f")), calls(piece('{"x"', index=1)), calls(piece(":1}", index=2)),
         calls(piece("{}", index=3, id="b", name="g"))], TWO),
    "an index as text, as a fraction": (
        [calls(piece("", index="0", id="a", name="f")), calls(piece('{"x":1}', index=0.0)),
         calls(piece("{}", index="1", id="b", name="g"))], TWO),
    "an empty id each (older Gemini)": (
        [calls(piece('{"x":1}', id="", name="f"), piece("{}", id="", name="g"))], NO_ID),
    "no id at all": ([calls(piece('{"x":1}', index=0, name="f")), calls(piece("{}", index=1, name="g"))], NO_ID),
    "no id from the second on (sglang)": (
        [calls(piece('{"x":1}', index=0, id="a", name="f")), calls(piece("", index=1, name="g")),
         calls(piece("{}", index=1))], [("a", "f", '{"x":1}'), ("", "g", "{}")]),
    "no id, twice the same function": (
        [calls(piece("{}", index=0, name="f")), calls(piece("{}", index=0, name="f"))], [("", "f", "{}")] * 2),
    "no id and no arguments": ([calls(piece("", index=0, name="f"))], [("", "f", "")]),
    "a call that never says what it is": (
        [calls(piece("", index=0, id="", name="")), calls(piece("{}", index=0, id="a", name="f"))], [("a", "f", "{}")]),
    "an object for a list": ([chunk({"tool_calls": piece("{}", id="a", name="f")})], [("a", "f", "{}")]),
}  # fmt: skip


def joined(deltas: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The calls that a client of the rule sees: by index alone, ids and names as they came first."""
    made: dict[int, list[str]] = {}
    for fragment in deltas:
        call = made.setdefault(fragment["index"], ["", "", ""])
        function = fragment.get("function", fragment)
        call[0] += fragment.get("id") or ""
        call[1] += function.get("name") or ""
        call[2] += function.get("arguments") or ""
    assert sorted(made) == list(range(len(made)))
    return [(identity, name, said) for identity, name, said in (made[index] for index in sorted(made))]


def told(found: list[tuple[str, str, str]], wanted: list[tuple[str, str, str]]) -> bool:
    """Whether these are the calls; an id that the provider never gave is one of ours."""
    ids = [identity for identity, _, _ in found]
    shown = [("" if want == "" and got.startswith(OURS) else got, name, said)
             for (got, name, said), (want, _, _) in zip(found, wanted, strict=True)]  # fmt: skip
    return shown == wanted and len(set(ids)) == len(ids) and all(ids)


@pytest.mark.parametrize("name", CASES)
async def test_each_call_is_one_at_each_door(name: str, tmp_path: Path) -> None:
    frames, wanted = CASES[name]
    async with doors(tmp_path) as at:
        at.upstream.says(*frames, chunk({}, "tool_calls"))
        chunks = [json.loads(data) for data in (await at.streamed())[:-1]]
        fragments = [one for made in chunks for one in made["choices"][0]["delta"].get("tool_calls", ())]
        assert told(joined(fragments), wanted)
        begun = {one["index"]: one for one in reversed(fragments)}
        assert all(one.get("id") and one["function"].get("name") for one in begun.values())

        plain = (await at.message())["tool_calls"]
        assert told([(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in plain], wanted)
        assert all(one["type"] == "function" and "index" not in one for one in plain)

        native = [one for kind, data in await at.native() if kind == "delta" for one in data.get("tool_calls", ())]
        assert told(joined(native), wanted)


@pytest.mark.parametrize("name", CASES)
async def test_the_official_client_sees_the_same_calls(name: str, tmp_path: Path) -> None:
    """Its helper joins fragments by index alone, and fails on an index that is missing or begins at 1 (D3)."""
    frames, wanted = CASES[name]
    async with doors(tmp_path) as at, openai.AsyncOpenAI(base_url=f"{at.service.url}/v1", api_key="x") as sdk:
        at.upstream.says(*frames, chunk({}, "tool_calls"))
        async with sdk.chat.completions.stream(
            model="up/m",
            messages=[{"role": "user", "content": "hi"}],
            extra_headers={"Cache-Control": "no-store, no-cache"},
        ) as stream:
            final = await stream.get_final_completion()
        made = final.choices[0].message.tool_calls or []
        assert told([(one.id, one.function.name, one.function.arguments) for one in made], wanted)


async def test_a_custom_tool_is_a_call_like_others(tmp_path: Path) -> None:
    first = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}
    frames = [calls(first), calls({"index": 0, "custom": {"input": "y"}}), chunk({}, "tool_calls")]
    async with doors(tmp_path) as at:
        at.upstream.says(*frames)
        assert await at.streamed() == [*datas(frames), b"[DONE]"]
        assert (await at.message())["tool_calls"] == [
            {"id": "a", "type": "custom", "custom": {"name": "f", "input": "xy"}}
        ]
        at.upstream.says(calls({**first, "index": None}), calls({"custom": {"input": "y"}}), frames[-1])
        assert (await at.message())["tool_calls"] == [
            {"id": "a", "type": "custom", "custom": {"name": "f", "input": "xy"}}
        ]


async def test_a_stored_answer_has_the_mended_calls(tmp_path: Path) -> None:
    """Item 7: what the cache gives is what was read, not what came."""
    frames, wanted = CASES["index 0 for each (Ollama)"]
    async with doors(tmp_path) as at:
        at.upstream.says(*frames, chunk({}, "tool_calls"))
        body = {"model": at.model, "messages": ASK}
        first = await at.service.client.post("/v1/chat/completions", json=body)
        again = await at.service.client.post("/v1/chat/completions", json=body)
        assert again.headers["x-cache"] == "hit-l1"
        for answer in (first, again):
            made = answer.json()["choices"][0]["message"]["tool_calls"]
            assert told([(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in made], wanted)


texts = st.text(max_size=4)
members = st.dictionaries(st.sampled_from(["x_new", "reasoning", "refusal", "annotations"]), texts, max_size=2)
usages = st.none() | st.integers(0, 3).map(lambda count: {"prompt_tokens": 3, "completion_tokens": count})


@st.composite
def well_formed(draw: st.DrawFn) -> list[bytes]:
    """The chunks of an answer that keeps to the rules: any texts, calls in order, counts that do not fall."""
    deltas: list[dict[str, Any]] = []
    for index in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(["f", "g"]))
        deltas.append({"tool_calls": [piece(draw(texts), index=index, id=f"c{index}", name=name)]})
        deltas += [{"tool_calls": [piece(said, index=index)]} for said in draw(st.lists(texts, max_size=2))]
    deltas += [{"content": said, **draw(members)} for said in draw(st.lists(texts, max_size=12))]
    deltas = draw(st.permutations(deltas)) if not any("tool_calls" in one for one in deltas) else deltas
    count = 0
    frames = []
    for delta in [{"role": "assistant", "content": ""}, *deltas]:
        count += draw(st.integers(0, 2))
        usage = draw(st.sampled_from([{}, {"usage": None}]))
        told = draw(st.booleans())
        frames.append(chunk(delta, **({"usage": {"prompt_tokens": 3, "completion_tokens": count}} if told else usage)))
    frames.append(chunk({}, "stop"))
    spaced = draw(st.booleans())
    return [json.dumps(one, separators=(", ", ": ") if spaced else (",", ":")).encode() for one in frames]


@given(well_formed(), st.integers(1, 30))
def test_a_well_formed_stream_goes_through_byte_for_byte(frames: list[bytes], size: int) -> None:
    """D2: nothing is mended that was not broken, however many chunks come in one read."""
    feed = DeltaFeed(ATTEMPT, OpenAIChunks(ATTEMPT), 1, ChunkTemplate())
    deltas: Events[Delta] = Events([], [])
    blocks = [b"data: %b\n\n" % data for data in frames]
    for place in range(0, len(blocks), size):
        deltas.extend(feed.feed(b"".join(blocks[place : place + size])))
    assert feed.failure is None
    assert [delta.raw for delta in deltas] == frames


@st.composite
def disguised(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[tuple[str, str, str]]]:
    """Calls whose fragments follow on each other, in one of the ways in which providers write them."""
    made = [(f"id{index}", draw(st.sampled_from(["f", "g"])), draw(st.sampled_from(["{}", '{"a":1}', '{"a":"{}"}'])))
            for index in range(draw(st.integers(1, 4)))]  # fmt: skip
    number = draw(st.sampled_from(["right", "none", "zero", "one", "growing"]))
    again = draw(st.booleans())
    frames, place = [], 0
    for index, (identity, name, said) in enumerate(made):
        cut = draw(st.integers(0, len(said)))
        for turn, part in enumerate([said[:cut], said[cut:]]):
            where = {"right": index, "zero": 0, "one": index + 1, "growing": place}.get(number)
            named = {"id": identity, "name": name} if turn == 0 or again else {}
            frames.append(calls(piece(part, **({} if where is None else {"index": where}), **named)))
            place += 1
    return frames, made


@given(disguised())
def test_calls_in_any_disguise_are_the_same_calls(
    case: tuple[list[dict[str, Any]], list[tuple[str, str, str]]],
) -> None:
    frames, made = case
    feed = DeltaFeed(ATTEMPT, OpenAIChunks(ATTEMPT), 1, ChunkTemplate())
    deltas = feed.feed(b"".join(b"data: %b\n\n" % data for data in datas(frames)))
    fragments = [one for delta in deltas for one in json.loads(delta.raw)["choices"][0]["delta"].get("tool_calls", ())]
    assert joined(fragments) == made
    fields = [asdict(call) for delta in deltas for call in delta.tool_calls]
    assert joined(fields) == made
