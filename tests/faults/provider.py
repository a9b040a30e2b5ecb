"""An OpenAI-compatible upstream that behaves or misbehaves by model name, for tests: a process of its own.

    python -m tests.faults.provider --port 0      # prints its port on the first line

`POST .../chat/completions` answers as `BEHAVIOURS` says for the model; the number of tokens is `max_tokens`, else 60.
`GET /_stats` tells what was seen, per model: requests, open, most_open (at once), hangups (seconds from the request
to the client's hanging up), body and headers (of the last request).
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOKENS = 60
UNICODE_TEXT = (
    "emoji \U0001f469\u200d\U0001f680 é, CR \r, LF \n, CRLF \r\n, NUL \x00, NEL \x85,"
    " LS \u2028, PS \u2029, BOM \ufeff, data: [DONE]"
)
SILENCE = 3600.0


@dataclass
class ModelStats:
    """What was seen of one model."""

    requests: int = 0
    open: int = 0
    most_open: int = 0
    hangups: list[float] = field(default_factory=list)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Exchange:
    """One request and the writing of its answer."""

    def __init__(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        self.writer = writer
        self.body = body
        self.model = str(body.get("model"))
        self.tokens = int(body.get("max_tokens", TOKENS))

    async def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        """The head of a chunked answer."""
        fields = {"content-type": kind, "transfer-encoding": "chunked"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.send(f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode())

    async def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def piece(self, data: bytes) -> None:
        """One HTTP chunk."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """The end of the body."""
        await self.send(b"0\r\n\r\n")

    async def event(self, data: Any) -> None:
        """One event with JSON for data."""
        await self.piece(b"data: " + json.dumps(data).encode() + b"\n\n")

    async def done(self) -> None:
        """The end mark and the end."""
        await self.piece(b"data: [DONE]\n\n")
        await self.end()

    async def reply(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        """A whole answer with its length."""
        fields = {"content-type": kind, "content-length": str(len(body))}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.send(f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode() + body)

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **extra: Any) -> dict[str, Any]:
        """A chunk of an answer."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **extra.pop("choice", {})}
        return {
            "id": "chatcmpl-faults",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": self.model,
            "choices": [choice],
            **extra,
        }

    def usage(self) -> dict[str, Any]:
        """The chunk with the usage."""
        counts = {"prompt_tokens": 9, "completion_tokens": self.tokens, "total_tokens": 9 + self.tokens}
        return {**self.chunk({}), "choices": [], "usage": counts}

    async def words(self, count: int, pause: float = 0.0) -> None:
        """The head, the role and this many tokens."""
        await self.head()
        await self.event(self.chunk({"role": "assistant", "content": ""}))
        for number in range(1, count + 1):
            if pause:
                await asyncio.sleep(pause)
            await self.event(self.chunk({"content": f" tok{number}"}))

    async def finish(self, reason: str = "stop") -> None:
        """The finish reason and the usage."""
        await self.event(self.chunk({}, reason))
        await self.event(self.usage())


Behaviour = Callable[[Exchange], Awaitable[None]]


def _error(status: int, code: str, **headers: str) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        # The message repeats the prompt, as providers do: nothing of it may be kept (P1).
        error = {"message": json.dumps(exchange.body), "type": "error", "param": "messages", "code": code}
        await exchange.reply(status, json.dumps({"error": error}).encode(), **headers)

    return behave


def _streamed(*, pause: float = 0.0) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.words(exchange.tokens, pause)
        await exchange.finish()
        await exchange.done()

    return behave


def _stopped(count: int | None, *, finish: bool, then: str) -> Behaviour:
    """`count` tokens (None: as many as asked for), perhaps a finish reason, then `cut`, `end` or `silence`."""

    async def behave(exchange: Exchange) -> None:
        await exchange.words(exchange.tokens if count is None else count)
        if finish:
            await exchange.finish()
        if then == "end":
            await exchange.end()
        if then == "silence":
            await asyncio.sleep(SILENCE)
        exchange.writer.close()

    return behave


async def _silent(exchange: Exchange) -> None:
    await asyncio.sleep(SILENCE)
    exchange.writer.close()


async def _tools(exchange: Exchange) -> None:
    await exchange.head()
    calls: list[dict[str, Any]] = [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}},
        *({"index": 0, "function": {"arguments": part}} for part in ('{"city"', ': "Par', 'is"}')),
    ]
    await exchange.event(exchange.chunk({"role": "assistant", "content": None}))
    for call in calls:
        await exchange.event(exchange.chunk({"tool_calls": [call]}))
    await exchange.finish("tool_calls")
    await exchange.done()


async def _plain(exchange: Exchange) -> None:
    text = "".join(f" tok{number}" for number in range(1, exchange.tokens + 1))
    message = {"role": "assistant", "content": text, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    completion = {**exchange.usage(), "object": "chat.completion", "choices": [choice], "service_tier": "default"}
    await exchange.reply(200, json.dumps(completion).encode())


async def _unicode(exchange: Exchange) -> None:
    """Raw UTF-8 where JSON allows it, an emoji's halves in two chunks, and every byte in a write of its own."""
    await exchange.head()
    data = json.dumps(exchange.chunk({"role": "assistant", "content": UNICODE_TEXT}), ensure_ascii=False).encode()
    halves = [
        b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\\ude00"}}]}',
    ]
    for event in (data, *halves):
        for byte in b"data: " + event + b"\r\n\r\n":
            await exchange.piece(bytes([byte]))
    await exchange.finish()
    await exchange.done()


async def _error_midway(exchange: Exchange) -> None:
    await exchange.words(20)
    await exchange.event({"error": {"message": json.dumps(exchange.body), "type": "server_error", "code": None}})
    await exchange.end()


async def _broken_json(exchange: Exchange) -> None:
    await exchange.words(20)
    await exchange.piece(b'data: {"choices": [{"delta": {"content": "tr\n\n')
    await exchange.finish()
    await exchange.done()


async def _extra_fields(exchange: Exchange) -> None:
    await exchange.head()
    extra: dict[str, Any] = {
        "x_invented": {"deep": [1, 2.50, 1e3]},
        "choice": {"logprobs": {"content": [{"token": "a"}]}, "x": None},
    }
    await exchange.event(exchange.chunk({"role": "assistant", "content": "a", "annotations": []}, **extra))
    await exchange.finish()
    await exchange.done()


async def _huge_line(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.piece(b"data: ")
    for _ in range(300):
        await exchange.piece(b"x" * (1 << 20))
    await exchange.done()


async def _gzip(exchange: Exchange) -> None:
    await exchange.head(content_encoding="gzip")
    await exchange.piece(b"\x1f\x8b\x08\x00")
    await exchange.end()


async def _html(exchange: Exchange) -> None:
    await exchange.reply(200, b"<html>Please log in</html>", "text/html; charset=utf-8")


async def _redirect(exchange: Exchange) -> None:
    await exchange.reply(307, b"", location="/v1/elsewhere")


BEHAVIOURS: dict[str, Behaviour] = {
    "ok": _streamed(),
    "ok-slow": _streamed(pause=0.02),
    "tools": _tools,
    "plain": _plain,
    "unicode": _unicode,
    "cut-40": _stopped(40, finish=False, then="cut"),
    "no-finish": _stopped(None, finish=False, then="end"),
    "no-done": _stopped(None, finish=True, then="end"),
    "no-done-cut": _stopped(None, finish=True, then="cut"),
    "no-done-open": _stopped(None, finish=True, then="silence"),
    "stall-20": _stopped(20, finish=False, then="silence"),
    "silent": _silent,
    "error-midway": _error_midway,
    "broken-json": _broken_json,
    "extra-fields": _extra_fields,
    "huge-line": _huge_line,
    "gzip": _gzip,
    "html": _html,
    "redirect": _redirect,
    "400": _error(400, "context_length_exceeded"),
    "401": _error(401, "invalid_api_key"),
    "404": _error(404, "model_not_found"),
    "429": _error(429, "rate_limit_exceeded", retry_after="1"),
    "500": _error(500, "server_error"),
    "503": _error(503, "overloaded", retry_after="2"),
}


class Server:
    """Serves connections, one request after another, and keeps count."""

    def __init__(self) -> None:
        self.stats: dict[str, ModelStats] = {}
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        lead = b""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                lines = (lead + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                exchange = Exchange(writer, json.loads(body) if body else {})
                lead = b""
                if lines[0].startswith("GET /_stats"):
                    seen = {model: vars(stats) for model, stats in self.stats.items()}
                    await exchange.reply(200, json.dumps({"connections": self.connections, "models": seen}).encode())
                elif lines[0].startswith("POST ") and "/chat/completions" in lines[0]:
                    lead = await self._answer(exchange, reader, headers)
                else:
                    await exchange.reply(404, b"{}")
        writer.close()

    async def _answer(self, exchange: Exchange, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        """Plays the behaviour until its end or until the client hangs up; returns the first byte of what follows."""
        stats = self.stats.setdefault(exchange.model, ModelStats())
        stats.requests += 1
        stats.open += 1
        stats.most_open = max(stats.most_open, stats.open)
        stats.body, stats.headers = exchange.body, headers
        began = time.monotonic()
        answer = asyncio.ensure_future(BEHAVIOURS.get(exchange.model, BEHAVIOURS["404"])(exchange))
        hangup = asyncio.ensure_future(_read_on(reader))
        try:
            await asyncio.wait([answer, hangup], return_when=asyncio.FIRST_COMPLETED)
            lead = hangup.result() if hangup.done() else b""
            if lead:
                await answer
            if not answer.done() or isinstance(answer.exception(), ConnectionError):
                stats.hangups.append(time.monotonic() - began)
                exchange.writer.close()
            return lead
        finally:
            stats.open -= 1
            for task in (answer, hangup):
                task.cancel()
            await asyncio.gather(answer, hangup, return_exceptions=True)


async def _read_on(reader: asyncio.StreamReader) -> bytes:
    """The first byte after a request: of the next one, or b"" when the client has closed."""
    with suppress(ConnectionError):
        return await reader.read(1)
    return b""


@contextmanager
def process() -> Iterator[str]:
    """This program in a process of its own; its base URL, with the version."""
    command = [sys.executable, "-m", "tests.faults.provider", "--port", "0"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
        finally:
            child.kill()


async def main() -> None:
    """Serves until it is killed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    server = await asyncio.start_server(Server().serve, "127.0.0.1", arguments.parse_args().port, limit=1 << 24)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the caller reads it
    await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
