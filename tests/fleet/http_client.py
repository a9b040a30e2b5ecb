"""A plain HTTP/1.1 client over asyncio streams: one connection a request, the body as it comes, cut at any moment.

It costs a tenth of httpx's CPU, which the replicas under test need.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

CALL_SECONDS = 60.0
LIMIT = 1 << 20


@dataclass
class Answer:
    """The head of an answer, and its body to be read."""

    status: int
    headers: dict[str, str]
    _reader: asyncio.StreamReader

    @property
    def stream_id(self) -> str:
        """Of which stream this is."""
        return self.headers["x-stream-id"]

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body. Raises `asyncio.IncompleteReadError` or `ConnectionError` if it is cut before its end."""
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            yield await self._reader.readexactly(int(self.headers.get("content-length", 0)))
            return
        while size := int(await self._line(), 16):
            piece = await self._reader.readexactly(size + 2)
            yield piece[:-2]
        await self._line()

    async def whole(self) -> bytes:
        """All of the body."""
        return b"".join([piece async for piece in self.pieces()])

    async def read(self, count: int) -> bytes:
        """The first `count` bytes of the body, or somewhat more; less if it ends before."""
        body = b""
        pieces = self.pieces()
        try:
            async for piece in pieces:
                body += piece
                if len(body) >= count:
                    break
        finally:
            await pieces.aclose()
        return body

    async def _line(self) -> bytes:
        return (await self._reader.readuntil(b"\r\n"))[:-2]


@contextlib.asynccontextmanager
async def ask(
    url: str,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    seconds: float = CALL_SECONDS,
) -> AsyncIterator[Answer]:
    """Sends a request; leaving the block hangs up. Bounded by so many seconds in all."""
    address = urlsplit(url)
    data = b"" if body is None else json.dumps(body).encode()
    fields = {"Host": address.netloc, "Connection": "close", "Content-Length": str(len(data)), **(headers or {})}
    if body is not None:
        fields["Content-Type"] = "application/json"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=LIMIT)
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            pairs = (line.split(": ", 1) for line in lines)
            yield Answer(int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}, reader)
        finally:
            writer.transport.abort()


async def call(
    url: str, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> tuple[Answer, bytes]:
    """A whole answer."""
    async with ask(url, method, path, body, headers) as answer:
        return answer, await answer.whole()
