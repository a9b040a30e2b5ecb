"""A provider that refuses to stream, or refuses `stream_options`, behind each door (kinds 13 and 14)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.providers.openai import OpenAIProvider
from tests.adapters.test_call_form import AZURE, MISTRAL, PYDANTIC, VERIFY
from tests.adapters.test_upstream import Peer, serving
from tests.event_source import parse
from tests.service import Running, running

USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
ENVELOPE = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m-1"}
CHUNKS = (
    b'data: {"id":"c2","choices":[{"index":0,"delta":{"role":"assistant","content":"streamed"}}]}\n\n'
    b'data: {"id":"c2","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
DOORS = ["streamed", "plain", "native"]
FAILURES = {"CB_FAILURE_THRESHOLD": "1", "RETRY_MAX_ATTEMPTS": "1", "CACHE_ENABLED": "false"}


def completion(message: dict[str, Any], reason: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return json.dumps({**ENVELOPE, "choices": [choice], "usage": USAGE}).encode()


def response(status: int, kind: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    return head % (status, kind, len(body)) + body


class Upstream:
    """Refuses what it is made to refuse, and says what it was asked."""

    def __init__(self, answer: bytes, *, status: int, stream: bytes = b"", options: bytes = b"") -> None:
        self.answer = answer
        self.status = status
        self.refuses_stream = stream
        self.refuses_options = options
        self.asked: list[tuple[bool, bool]] = []

    async def __call__(self, peer: Peer, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.loads(peer.requests[-1].partition(b"\r\n\r\n")[2])
        self.asked.append((body["stream"], "stream_options" in body))
        if self.refuses_options and "stream_options" in body:
            writer.write(response(self.status, b"application/json", self.refuses_options))
        elif self.refuses_stream and body["stream"]:
            writer.write(response(self.status, b"application/json", self.refuses_stream))
        elif body["stream"]:
            writer.write(response(200, b"text/event-stream", CHUNKS))
        else:
            writer.write(response(200, b"application/json", self.answer))


@asynccontextmanager
async def service(
    upstream: Upstream, clock: ManualClock | None = None, *, stream: bool = True, stream_options: bool = True
) -> AsyncIterator[Running]:
    async with serving(upstream) as (_, url):
        provider = OpenAIProvider("demo", url, clock=clock, stream=stream, stream_options=stream_options)
        async with running(FAILURES, llm={"demo": provider}) as one:
            yield one
        await provider.aclose()


async def ask(one: Running, door: str) -> dict[str, Any]:
    """Text, tool calls, finish reason and usage of an answer, as the door says them."""
    if door == "native":
        got = await one.client.post("/v1/streams", json={"prompt": "hi", "model": "demo/m"})
        events = [(event.event, json.loads(event.data)) for event in parse(got.content)]
        end = next(data for event, data in events if event == "complete")
        text = "".join(data.get("text", "") for event, data in events if event == "delta")
        calls = [call for event, data in events if event == "delta" for call in data.get("tool_calls", [])]
        return {"text": text, "calls": len(calls), "reason": end["finish_reason"], "usage": end.get("usage")}
    body = {"model": "demo/m", "messages": [{"role": "user", "content": "hi"}], "stream": door == "streamed"}
    if door == "streamed":
        body["stream_options"] = {"include_usage": True}
    got = await one.client.post("/v1/chat/completions", json=body)
    assert got.status_code == 200, got.text
    if door == "plain":
        whole = got.json()
        (choice,) = whole["choices"]
        calls = choice["message"].get("tool_calls") or []
        text = choice["message"].get("content") or ""
        return {"text": text, "calls": len(calls), "reason": choice["finish_reason"], "usage": whole.get("usage")}
    assert got.content.endswith(b"data: [DONE]\n\n")
    chunks = [json.loads(event.data) for event in parse(got.content) if event.data != "[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return {
        "text": "".join(choice["delta"].get("content") or "" for choice in choices),
        "calls": sum(len(choice["delta"].get("tool_calls") or ()) for choice in choices),
        "reason": next(reason for choice in choices if (reason := choice.get("finish_reason"))),
        "usage": next((chunk["usage"] for chunk in chunks if chunk.get("usage")), None),
    }


def healthy(one: Running) -> None:
    """One attempt each, no failure, and a breaker that has heard of none."""
    assert one.container.breaker_board().state("demo/m") is None
    for record in one.recorder.records:
        assert (record.attempts, record.failures) == (1, ())


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("status", [400, 403, 422])
async def test_who_refuses_to_stream_is_asked_for_it_in_one_piece_and_remembered_13(door: str, status: int) -> None:
    clock = ManualClock()
    upstream = Upstream(completion({"content": "one piece"}, "stop"), status=status, stream=VERIFY)
    async with service(upstream, clock) as one:
        for _ in range(2):
            got = await ask(one, door)
            assert (got["text"], got["reason"]) == ("one piece", "stop")
            assert got["usage"]["completion_tokens"] == 5
        assert upstream.asked == [(True, True), (False, False), (False, False)]
        await clock.advance(3600.0)
        await ask(one, door)
        assert upstream.asked[3:] == [(True, True), (False, False)]
        healthy(one)


@pytest.mark.parametrize("door", DOORS)
async def test_tool_calls_of_such_an_answer_are_events_too_13(door: str) -> None:
    answer = completion({"content": None, "tool_calls": [CALL]}, "tool_calls")
    async with service(Upstream(answer, status=400, stream=VERIFY)) as one:
        got = await ask(one, door)
        assert (got["text"], got["calls"], got["reason"]) == ("", 1, "tool_calls")
        healthy(one)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("status", "refusal"), [(400, AZURE), (422, PYDANTIC), (422, MISTRAL)])
async def test_who_refuses_stream_options_is_asked_without_and_remembered_14(
    door: str, status: int, refusal: bytes
) -> None:
    clock = ManualClock()
    upstream = Upstream(b"", status=status, options=refusal)
    async with service(upstream, clock) as one:
        for _ in range(2):
            assert (await ask(one, door))["text"] == "streamed"
        assert upstream.asked == [(True, True), (True, False), (True, False)]
        await clock.advance(3600.0)
        await ask(one, door)
        assert upstream.asked[3:] == [(True, True), (True, False)]
        healthy(one)


async def test_both_may_be_refused_one_after_the_other_13_14() -> None:
    upstream = Upstream(completion({"content": "one piece"}, "stop"), status=400, stream=VERIFY, options=AZURE)
    async with service(upstream) as one:
        assert (await ask(one, "streamed"))["text"] == "one piece"
        assert upstream.asked == [(True, True), (True, False), (False, False)]
        healthy(one)


@pytest.mark.parametrize(
    ("stream", "options", "asked", "text"),
    [
        (False, True, (False, False), "one piece"),
        (False, False, (False, False), "one piece"),
        (True, False, (True, False), "streamed"),
    ],
)
async def test_a_row_can_say_both_beforehand_13_14(
    stream: bool, options: bool, asked: tuple[bool, bool], text: str
) -> None:
    upstream = Upstream(completion({"content": "one piece"}, "stop"), status=400)
    async with service(upstream, stream=stream, stream_options=options) as one:
        assert (await ask(one, "streamed"))["text"] == text
        assert upstream.asked == [asked]


async def test_a_refusal_that_stays_is_told_and_asked_once_more_at_most_13() -> None:
    """The provider refuses whatever it is asked: its last word is the caller's, and nothing is remembered."""

    class Refusing(Upstream):
        async def __call__(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.asked.append((True, True))
            writer.write(response(400, b"application/json", VERIFY))

    upstream = Refusing(b"", status=400)
    async with service(upstream) as one:
        for count in (2, 4):
            body = {"model": "demo/m", "messages": [{"role": "user", "content": "hi"}]}
            got = await one.client.post("/v1/chat/completions", json=body)
            assert (got.status_code, len(upstream.asked)) == (400, count)
        assert one.container.breaker_board().state("demo/m") is None
