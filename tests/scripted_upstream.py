"""An HTTP server in this process that answers as it is told and remembers what it was asked: an upstream or a proxy."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What is answered."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"

    def encode(self) -> bytes:
        head = f"HTTP/1.1 {self.status} X\r\ncontent-type: {self.content_type}\r\ncontent-length: {len(self.body)}\r\n"
        return head.encode() + b"\r\n" + self.body


def said(status: int, **error: object) -> Reply:
    """An error in OpenAI's shape."""
    return Reply(status, json.dumps({"error": error}).encode())


def streamed(*data: object, done: bool = True) -> Reply:
    """An event stream of these chunks."""
    frames = [f"data: {json.dumps(one)}\n\n" for one in data] + (["data: [DONE]\n\n"] if done else [])
    return Reply(200, "".join(frames).encode(), "text/event-stream")


@dataclass
class Upstream:
    """`reply` makes the answer of each request; a CONNECT is connected to `behind` if there is one."""

    reply: Callable[[Asked], Reply]
    behind: int | None = None
    gate: asyncio.Event | None = None
    """No answer leaves before it is set."""
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                pairs = (line.split(": ", 1) for line in lines[1:] if line)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.asked.append(Asked(method, target, headers, body))
                if method == "CONNECT" and self.behind is not None:
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    onward, back = await asyncio.open_connection("127.0.0.1", self.behind)
                    self.writers.append(back)
                    await asyncio.gather(_copy(reader, back), _copy(onward, writer))
                    break
                if self.gate is not None:
                    await self.gate.wait()
                writer.write(self.reply(self.asked[-1]).encode())
                await writer.drain()
        writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
    sink.close()


@asynccontextmanager
async def upstream(
    reply: Callable[[Asked], Reply] | Reply, *, tls: ssl.SSLContext | None = None, behind: int | None = None
) -> AsyncIterator[Upstream]:
    """Serves until the block is left."""
    one = Upstream((lambda _: reply) if isinstance(reply, Reply) else reply, behind)
    server = await asyncio.start_server(one.accept, "127.0.0.1", 0, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for task in one.tasks:
            task.cancel()
        await asyncio.gather(*one.tasks, return_exceptions=True)
        for writer in one.writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # what is aborted is closed in the loop's next turn
        await asyncio.gather(*(writer.wait_closed() for writer in one.writers), return_exceptions=True)
