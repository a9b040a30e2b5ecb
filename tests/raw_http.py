"""A client that sends the bytes that it is given, and shows what comes back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple, Self

HOST = b"Host: 127.0.0.1\r\n"
PATIENCE = 20.0


class Response(NamedTuple):
    """What came back: the status, the headers by lower-case name (all values of a name), the body."""

    status: int
    headers: dict[str, list[str]]
    body: bytes


class RawConnection:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        """A new connection to this port."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        """Sends it all."""
        self.writer.write(data)
        await self.writer.drain()

    async def response(self, *, head_only: bool = False) -> Response:
        """The next response, whole. Raises `IncompleteReadError` where it is cut."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, *lines = head[:-4].decode("latin-1").split("\r\n")
            headers: dict[str, list[str]] = {}
            for one in lines:
                name, _, value = one.partition(": ")
                headers.setdefault(name.lower(), []).append(value)
            status = int(line.split(" ")[1])
            if head_only or status in {100, 204, 304}:
                body = b""
            elif "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"][0]))
            elif headers.get("transfer-encoding") == ["chunked"]:
                body = await self._chunks()
            else:
                body = await self.reader.read()
            return Response(status, headers, body)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body

    async def closed(self) -> bytes:
        """What comes until the service closes, without a reset."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def close(self) -> None:
        """Goes."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def raw(port: int) -> AsyncIterator[RawConnection]:
    """A connection that is closed in the end."""
    connection = await RawConnection.open(port)
    try:
        yield connection
    finally:
        await connection.close()
