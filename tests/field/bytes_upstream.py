"""A provider that answers with given bytes, and what a service in front of it makes of them at each door."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.event_source import parse
from tests.service import Running, running

SSE = "text/event-stream"
ASK = [{"role": "user", "content": "hi"}]


@dataclass
class BytesUpstream:
    """Answers each request with the same bytes, and keeps the bodies it got."""

    body: bytes = b""
    kind: str = SSE
    headers: Mapping[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    def says(self, *frames: object, done: bool = True, event: str | None = None) -> None:
        """The frames as events: bytes as they are, all else as JSON."""
        named = b"" if event is None else b"event: %b\n" % event.encode()
        data = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in frames]
        blocks = [b"%bdata: %b\n\n" % (named, one) for one in data]
        self.body = b"".join([*blocks, b"data: [DONE]\n\n" if done else b""])
        self.kind = SSE

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request and its answer; the connection ends with it."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            self.requests.append(json.loads(await reader.readexactly(length)))
            fields = {"content-type": self.kind, "content-length": str(len(self.body)), **self.headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"HTTP/1.1 200 OK\r\n{lines}connection: close\r\n\r\n".encode() + self.body)
            await writer.drain()
        writer.close()


@dataclass
class Doors:
    """A service in front of such a provider, of any kind, under the name `up`."""

    service: Running
    upstream: BytesUpstream
    model: str = "up/m"

    async def streamed(self, *, include_usage: bool = False) -> list[bytes]:
        """The data of each event at OpenAI's door."""
        options = {"stream_options": {"include_usage": True}} if include_usage else {}
        body = {"model": self.model, "messages": ASK, "stream": True, **options}
        answer = await self.service.client.post("/v1/chat/completions", json=body, headers=FRESH)
        return [event.data.encode() for event in parse(answer.content)] if answer.status_code == 200 else []

    async def plain(self, **options: Any) -> tuple[int, dict[str, Any]]:
        """Status and body of a call that is not streamed."""
        body = {"model": self.model, "messages": ASK, **options}
        answer = await self.service.client.post("/v1/chat/completions", json=body, headers=FRESH)
        return answer.status_code, answer.json()

    async def message(self) -> dict[str, Any]:
        """The message of a plain answer."""
        status, body = await self.plain()
        assert status == 200, body
        message: dict[str, Any] = body["choices"][0]["message"]
        return message

    async def native(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and data of each event at the native door."""
        body = {"model": self.model, "messages": ASK}
        answer = await self.service.client.post("/v1/streams", json=body, headers=FRESH)
        assert answer.status_code == 200, answer.content
        return [(event.event, json.loads(event.data)) for event in parse(answer.content)]

    def state(self) -> dict[str, Any]:
        """The last request's record, as far as a test asks."""
        record = self.service.recorder.records[-1]
        return {"code": record.code, "usage": record.usage, "failures": record.failures}


FRESH = {"Cache-Control": "no-store, no-cache"}


@contextlib.asynccontextmanager
async def doors(folder: Path, kind: str = "openai", row: str = "", **environ: str) -> AsyncIterator[Doors]:
    """A service whose provider `up` is of this kind and answers with bytes; `row` is what else its row says."""
    upstream = BytesUpstream()
    server = await asyncio.start_server(upstream.answer, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    config = folder / "headgate.toml"
    config.write_text(f'[providers.up]\nkind = "{kind}"\nbase_url = "http://127.0.0.1:{upstream.port}"\n{row}\n')
    settings = {"HEADGATE_CONFIG": str(config), "RETRY_MAX_ATTEMPTS": "1", **environ}
    async with server, running(settings) as service:
        yield Doors(service, upstream)


def chunk(delta: object, finish: object = None, **top: object) -> dict[str, Any]:
    """A chunk of OpenAI's dialect."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **top,
    }


def datas(frames: Sequence[object]) -> list[bytes]:
    """The frames as they are written."""
    return [json.dumps(one).encode() for one in frames]
