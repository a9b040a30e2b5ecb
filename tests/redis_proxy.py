"""A TCP proxy before Redis that makes a network's faults: silence, resets, delays, slices, lost replies."""

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator
from socket import SO_LINGER, SOL_SOCKET


class Proxy:
    """Its faults are switched on by its attributes, for connections that are open too."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._ends: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.silent = False
        """Nothing passes in either direction; the connections stay open."""
        self.lose_replies = False
        """Requests pass; at the first reply the connection is closed instead."""
        self.slices = False
        """Replies come one byte at a time."""
        self.delay = 0.0
        """Replies come up to twice as many seconds later."""

    @property
    def url(self) -> str:
        """The address of Redis behind it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def lead_to(self, port: int) -> None:
        """What connects from now on comes to another server."""
        self._target = port

    def reset(self) -> None:
        """Resets all connections (RST)."""
        for writer in self._ends:
            connection = writer.get_extra_info("socket")
            if connection.fileno() >= 0:  # it has not been closed by the other side, in this moment
                connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries one connection."""
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ends = {writer, upstream_writer}
        self._ends |= ends
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, upstream_writer, replies=False))
                group.create_task(self._carry(upstream_reader, writer, replies=True))
        finally:
            self._ends -= ends
            upstream_writer.close()  # a child that was cancelled before its first step has not

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool) -> None:
        try:
            while data := await reader.read(1 << 16):
                if self.silent:
                    continue
                if replies and self.lose_replies:
                    break
                if replies and self.delay:
                    await asyncio.sleep(random.uniform(0, 2 * self.delay))
                for piece in [bytes((byte,)) for byte in data] if replies and self.slices else [data]:
                    writer.write(piece)
                    await writer.drain()
                    if self.slices:
                        await asyncio.sleep(0)
        except OSError:
            return
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of the server at that port of this machine."""
    proxy = Proxy(port)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)
        task.add_done_callback(lambda _: writer.close())  # however it ended: also if there was no Redis to connect to

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()
