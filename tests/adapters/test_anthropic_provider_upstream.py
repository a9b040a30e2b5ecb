"""An upstream in Anthropic's dialect on a real socket, and the official SDK as the judge of its bytes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import anthropic
import pytest

from adapters.providers.anthropic import AnthropicProvider
from domain.delta import Delta
from domain.model import CompletionRequest, Message
from ports.provider import Provider

EMOJI = "emoji \U0001f469\u200d\U0001f680 é, CR \r, LF \n, NUL \x00, NEL \x85, LS \u2028, BOM \ufeff, data: [DONE]"


class Answer(NamedTuple):
    """What a model answers: pieces of a body, each in an HTTP chunk of its own, and then an `end`, a `cut` or
    `silence`. Without a status not even a head comes."""

    pieces: Sequence[bytes] = ()
    then: str = "end"
    status: int | None = 200
    kind: str = "text/event-stream"
    headers: Mapping[str, str] = {}


@dataclass
class VendorServer:
    """Answers by the name of the model; `seen` are the requests, `open` counts those that are not over."""

    answers: Mapping[str, Answer]
    unknown: Answer
    model: Callable[[str, Any], str]
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    open: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self.serve(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(lambda _: writer.close())  # also if it was cancelled before its first step

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                await self.exchange(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        path = lines[0].split(" ")[1]
        self.seen.append((path, headers, body))
        self.open += 1
        try:
            await self.answer(reader, writer, self.answers.get(self.model(path, body), self.unknown))
        finally:
            self.open -= 1

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        if answer.status is not None:
            fields = {"content-type": answer.kind, "transfer-encoding": "chunked", **answer.headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"HTTP/1.1 {answer.status} Status\r\n{lines}\r\n".encode())
        for piece in answer.pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        if answer.then == "silence":
            await reader.read(1)
        if answer.then != "end":
            writer.close()
            return
        writer.write(b"0\r\n\r\n")


@asynccontextmanager
async def served(one: VendorServer) -> AsyncIterator[str]:
    """The base URL of a server that runs while the context is open."""
    server = await asyncio.start_server(one.connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in one.tasks:
            task.cancel()
        await asyncio.gather(*one.tasks, return_exceptions=True)


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode()


def start(model: str, **usage: int) -> bytes:
    counts = {"input_tokens": 9, "output_tokens": 1, **usage}
    message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": counts}  # fmt: skip
    return event("message_start", message=message)


def block(index: int, content: Mapping[str, Any], *deltas: Mapping[str, Any]) -> list[bytes]:
    return [
        event("content_block_start", index=index, content_block=content),
        event("ping"),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def text(index: int, *pieces: str) -> list[bytes]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def tool(index: int, call: str, name: str, *pieces: str) -> list[bytes]:
    content = {"type": "tool_use", "id": call, "name": name, "input": {}}
    return block(index, content, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def thinking(index: int, *pieces: str) -> list[bytes]:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas,
                 {"type": "signature_delta", "signature": "c2ln"})  # fmt: skip


def stop(reason: str, **usage: int) -> list[bytes]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [event("message_delta", delta=delta, usage={"output_tokens": 60, **usage}), event("message_stop")]


def error(status: int, kind: str, **headers: str) -> Answer:
    # The message repeats what was said, as providers do: nothing of it may be kept (P1).
    content = {"type": "error", "error": {"type": kind, "message": "planted-secret"}, "request_id": "req_1"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer([json.dumps(content).encode()], status=status, kind="application/json", headers=named)


def split(pieces: Sequence[bytes]) -> list[bytes]:
    return [bytes([byte]) for byte in b"".join(pieces)]


WORDS = [f" tok{number}" for number in range(1, 61)]
TOOLS = [start("tools"), *text(0, "Let me see."), *tool(1, "toolu_1", "get_weather", '{"city"', ': "Par', 'is"}'),
         *tool(2, "toolu_2", "now", ""), *stop("tool_use")]  # fmt: skip
SERVER_TOOL = block(0, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
                    {"type": "input_json_delta", "partial_json": '{"query": "x"}'})  # fmt: skip
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "planted-secret"})
ANSWERS: Mapping[str, Answer] = {
    "ok": Answer([start("ok"), *text(0, *WORDS), *stop("end_turn")]),
    "tools": Answer(TOOLS),
    "thinking": Answer([start("thinking"), *thinking(0, "Hm", "m."), *text(1, "Yes."), *stop("end_turn")]),
    "cached": Answer([start("cached", input_tokens=3, cache_read_input_tokens=5, cache_creation_input_tokens=1),
                      *text(0, "a"), *stop("max_tokens", input_tokens=4)]),
    "server-tool": Answer([start("server-tool"), *SERVER_TOOL, *text(1, "Found."), *stop("end_turn")]),
    "unicode": Answer(split([start("unicode"), *text(0, EMOJI, *EMOJI), *stop("stop_sequence")])),
    "refusal": Answer([start("refusal"), *stop("refusal")]),
    "no-finish": Answer([start("no-finish"), *text(0, *WORDS)]),
    "no-stop-cut": Answer([start("no-stop-cut"), *text(0, *WORDS), stop("end_turn")[0]], "cut"),
    "cut-40": Answer([start("cut-40"), *text(0, *WORDS[:40])[:-1]], "cut"),
    "stall-20": Answer([start("stall-20"), *text(0, *WORDS[:20])[:-1]], "silence"),
    "silent": Answer(then="silence", status=None),
    "error-midway": Answer([start("error-midway"), *text(0, *WORDS[:20])[:-1], OVERLOADED]),
    "broken-json": Answer([start("broken-json"), *text(0, *WORDS[:20])[:-1], b'data: {"type": "cont\n\n']),
    "huge-line": Answer([b"data: ", *[b"x" * (1 << 20)] * 3]),
    "html": Answer([b"<html>"], kind="text/html"),
    "gzip": Answer([b"\x1f\x8b"], headers={"content-encoding": "gzip"}),
    "redirect": Answer(status=307, headers={"location": "/elsewhere"}),
    "400": error(400, "invalid_request_error"),
    "401": error(401, "authentication_error"),
    "402": error(402, "billing_error"),
    "404": error(404, "not_found_error"),
    "413": error(413, "request_too_large"),
    "429": error(429, "rate_limit_error", retry_after="7"),
    "500": error(500, "api_error"),
    "529": error(529, "overloaded_error", retry_after="2"),
}  # fmt: skip


def upstream() -> VendorServer:
    return VendorServer(ANSWERS, ANSWERS["404"], lambda _, body: str(body["model"]))


async def answer(provider: Provider, model: str) -> list[Delta]:
    deltas: list[Delta] = []
    async with provider.stream(CompletionRequest(model, [Message("user", "Why?")]), model, "thread-1") as batches:
        async for batch in batches:
            deltas += batch
    return deltas


@pytest.mark.parametrize("model", ["ok", "tools", "thinking", "server-tool", "unicode", "refusal"])
async def test_the_official_sdk_reads_the_same_from_the_same_bytes(model: str) -> None:
    """Text, thoughts, tool calls, usage and the model; S15 for any text, cut at every byte."""
    async with (
        served(upstream()) as url,
        anthropic.AsyncAnthropic(base_url=url, api_key="sk-x", max_retries=0) as client,
    ):
        async with client.messages.stream(
            model=model, max_tokens=100, messages=[{"role": "user", "content": "Why?"}]
        ) as stream:
            message: Any = await stream.get_final_message()
        provider = AnthropicProvider("it", url, "sk-x")
        deltas = await answer(provider, model)
        await provider.aclose()
    blocks = message.content
    assert "".join(delta.text for delta in deltas) == "".join(one.text for one in blocks if one.type == "text")
    thoughts = "".join(one.thinking for one in blocks if one.type == "thinking")
    assert "".join(delta.reasoning for delta in deltas) == thoughts
    details = [detail for delta in deltas if delta.extra for detail in json.loads(delta.extra)["reasoning_details"]]
    signed = [(one.thinking, one.signature) for one in blocks if one.type == "thinking"]
    assert [(detail["text"], detail["signature"]) for detail in details] == signed
    assert calls_of(deltas) == [(one.id, one.name, one.input) for one in blocks if one.type == "tool_use"]
    last = deltas[-1]
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (
        message.usage.input_tokens,
        message.usage.output_tokens,
    )
    assert last.model == message.model


def calls_of(deltas: Sequence[Delta]) -> list[tuple[str | None, str | None, Any]]:
    calls: dict[int, tuple[str | None, str | None, str]] = {}
    for piece in (call for delta in deltas for call in delta.tool_calls):
        call, name, arguments = calls.get(piece.index, (piece.id, piece.name, ""))
        calls[piece.index] = (call, name, arguments + piece.arguments)
    return [(call, name, json.loads(arguments)) for call, name, arguments in calls.values()]


@pytest.mark.parametrize(("model", "status"), [("429", 429), ("529", 529), ("400", 400), ("401", 401), ("404", 404)])
async def test_the_official_sdk_sees_the_errors_that_we_see(model: str, status: int) -> None:
    async with (
        served(upstream()) as url,
        anthropic.AsyncAnthropic(base_url=url, api_key="sk-x", max_retries=0) as client,
    ):
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(
                model=model, max_tokens=1, stream=True, messages=[{"role": "user", "content": "Why?"}]
            )
    assert caught.value.status_code == status
