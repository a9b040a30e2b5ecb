"""Floods of what no client sends, against a service in a process of its own: bounded memory, and others are served.

A short form of `bench/attacks.py`, which sends ten times as much and says what others felt.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.raw_http import HOST, RawConnection, raw
from tests.service import process

PIECE = b"a" * 65_536
MEGABYTES = 32
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
FLOODS = {
    "a header": (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: ", PIECE),
    "a header's name": (b"GET /livez HTTP/1.1\r\n" + HOST, PIECE),
    "small headers": (b"GET /livez HTTP/1.1\r\n" + HOST, b"X: a\r\n" * 10_000),
    "a target": (b"GET /", PIECE),
    "a method": (b"", PIECE),
    "empty lines": (b"", b"\r\n" * 30_000),
    "a chunk extension": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n1;", PIECE),
    "chunk extensions": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n", b"1;aaaaaaaaaaaaaaaa\r\n \r\n" * 3_000),
    "a trailer": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", PIECE),
    "trailers": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: a\r\n" * 10_000),
    "a body that is too large": (CHAT + b"Content-Length: 300000000\r\n\r\n", PIECE),
    "a body of unknown length": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + PIECE + b"\r\n"),
    "a body of the wrong kind": (CHAT.replace(b"json", b"text") + b"Content-Length: 300000000\r\n\r\n", PIECE),
}


def resident(pid: int) -> int:
    """The most memory that the process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Its process and its port. It has keys, and the floods have none."""
    folder = tmp_path_factory.mktemp("floods")
    config = folder / "headgate.toml"
    config.write_text(f'[keys.acme]\nsha256 = "{"0" * 64}"\n')
    with (folder / "log").open("w") as log, process({"HEADGATE_CONFIG": str(config)}, log) as (running, url):
        yield running.pid, urlsplit(url).port or 0


async def flood(client: RawConnection, begin: bytes, piece: bytes) -> None:
    """Sends until all is sent, or the service has closed."""
    with contextlib.suppress(OSError):
        await client.send(begin)
        for _ in range(MEGABYTES * 1_000_000 // len(piece)):
            await client.send(piece)


async def drain(client: RawConnection) -> None:
    """Takes what comes, so that the service can write."""
    with contextlib.suppress(OSError):
        while await client.reader.read(65_536):
            pass


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_without_a_key_takes_no_memory_and_nobody_waits_g2_g5(
    name: str, service: tuple[int, int]
) -> None:
    """BAD_INPUT 44: 32 MB of anything add at most 4 MB; another client is answered meanwhile, and after it."""
    pid, port = service
    live = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
    async with raw(port) as other, raw(port) as client:
        for _ in range(50):
            await other.send(live)
            assert (await other.response()).status == 200
        before = resident(pid)
        begin, piece = FLOODS[name]
        draining = asyncio.create_task(drain(client))
        flooding = asyncio.create_task(flood(client, begin, piece))
        while not flooding.done():
            await other.send(live)
            assert (await other.response()).status == 200
        await flooding
        await client.close()
        await draining
        assert resident(pid) - before <= 4_000_000
