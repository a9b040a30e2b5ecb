"""Clients behind a narrow link (fault 41): their answers wait in the log, which is bounded, and nowhere else."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from tests.faults.test_memory import MIB, memory
from tests.fleet.harness import eventually
from tests.fleet.http_client import ask
from tests.service import process

NARROW = 125_000.0
"""Bytes a second, of all together: 1 Mbit/s."""
CLIENTS = 8
TOKENS = 20_000
"""Of an answer: some 4 MB of events."""
EACH = 1 * MIB
"""What a reader may cost beside the log (S11)."""
SLACK = 8 * MIB
OTHERS_SECONDS = 15.0
"""For an answer of that length, on a busy machine, without the link: it takes 0.4."""


class Link:
    """A TCP proxy that lets so many bytes a second through to the clients."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._turn = asyncio.Lock()
        self.rate = NARROW
        self.carried = 0

    async def carry(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection, until the service ends it."""
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # or the kernel takes what the client does not
        narrow.connect(("127.0.0.1", self._target))
        reader, writer = await asyncio.open_connection(sock=narrow, limit=4096)
        with contextlib.closing(writer), contextlib.closing(back):
            writer.write(await client.read(1 << 16))
            while data := await reader.read(4096):
                async with self._turn:
                    await asyncio.sleep(len(data) / self.rate)
                back.write(data)
                await back.drain()
                self.carried += len(data)


@contextlib.asynccontextmanager
async def link_to(port: int) -> AsyncIterator[tuple[Link, str]]:
    link = Link(port)
    server = await asyncio.start_server(link.carry, "127.0.0.1", 0)
    try:
        yield link, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def whole(url: str, number: int) -> bytes:
    """One client's answer, to its end."""
    said = [{"role": "user", "content": f"{number}"}]
    body = {"model": "openai/ok", "max_tokens": TOKENS, "stream": True, "messages": said}
    async with ask(url, "POST", "/v1/chat/completions", body) as answer:
        assert answer.status == 200
        return await answer.whole()


async def test_what_a_narrow_link_cannot_take_waits_in_the_log_alone_s11(upstream: str, tmp_path: Path) -> None:
    """Fault 41: memory is flat, nobody who goes on reading is cut, nobody else waits, and nothing is lost.

    The provider is not held back by its slowest reader, since others may read the same stream: it is read into the log,
    which has its own bounds (16 MiB an answer, `STREAM_LOG_MAX_BYTES` in all).
    """
    environ = {"OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "sk-x", "STREAM_FIRST_EVENT_TIMEOUT_LAST": "60"}
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("w"))
        service, url = stack.enter_context(process(environ, log))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
        link, narrow = await stack.enter_async_context(link_to(int(url.rpartition(":")[2])))

        async def gauge(name: str) -> float:
            rows = (await client.get("/metrics")).text.splitlines()
            return next(float(row.split(" ")[1]) for row in rows if row.startswith(f"{name} "))

        await whole(url, 0)
        before, kept = memory(service.pid, "VmRSS"), await gauge("headgate_stream_log_bytes")
        answers = [asyncio.create_task(whole(narrow, number)) for number in range(1, CLIENTS + 1)]

        async def all_are_made() -> bool:
            streams, making = await gauge("headgate_stream_log_streams"), await gauge("headgate_open_generations")
            return streams > CLIENTS and not making

        await eventually(all_are_made, 60)
        assert link.carried < CLIENTS * MIB  # all has been made, and little of it has been read
        in_log = await gauge("headgate_stream_log_bytes") - kept
        filled = memory(service.pid, "VmRSS")
        assert filled - before < in_log + CLIENTS * EACH + SLACK
        async with asyncio.timeout(OTHERS_SECONDS):
            assert b"[DONE]" in await whole(url, CLIENTS + 1)
        await asyncio.sleep(2)  # time for the link to carry some more
        assert memory(service.pid, "VmRSS") < filled + SLACK
        assert not any(answer.done() for answer in answers)
        link.rate = float("inf")
        for answer in await asyncio.gather(*answers):
            assert answer.endswith(b"data: [DONE]\n\n")
            assert answer.count(b'" tok') == TOKENS
