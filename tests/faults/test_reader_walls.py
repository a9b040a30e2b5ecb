"""What one client does to its connection reaches nobody else, in a process on a real Redis (G1)."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import httpx
import pytest

from tests.faults import provider
from tests.faults.planted import Plant
from tests.fleet.harness import eventually
from tests.fleet.http_client import ask, call
from tests.redis_server import RedisServer
from tests.service import process

MODEL = "openai/ok-slow"
BYSTANDERS = 5
UPSTREAM_SECONDS = 2.0
"""S7, R8: one, and as much again for a busy machine."""


def request(prompt: str) -> bytes:
    body = json.dumps({"model": MODEL, "prompt": prompt, "max_tokens": 2_000}).encode()
    fields = {
        "Host": "localhost",
        "Content-Type": "application/json",
        "X-Stream-Grace": "0",
        "Content-Length": len(body),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /v1/streams HTTP/1.1\r\n{lines}\r\n".encode() + body


@dataclass
class Replica:
    """A service, its provider and its log."""

    process: "Popen[str]"
    url: str
    upstream: str
    log: Path

    async def open_calls(self) -> int:
        """How many calls the provider has open."""
        _, body = await call(self.upstream.removesuffix("/v1"), "GET", "/_stats")
        return int(json.loads(body)["models"].get("ok-slow", {"open": 0})["open"])

    async def text(self, prompt: str, seconds: float) -> int:
        """How many bytes a new stream brings within that time."""
        count = 0
        body = {"model": MODEL, "prompt": prompt, "max_tokens": 2_000}
        async with ask(self.url, "POST", "/v1/streams", body) as answer:
            try:
                async with asyncio.timeout(seconds):
                    async for piece in answer.pieces():
                        count += len(piece)
            except TimeoutError:
                pass
        return count


@contextmanager
def replica(folder: Path, plant: Plant | None = None, *, shared: bool = True) -> Iterator[Replica]:
    with RedisServer() as redis, provider.process() as upstream, (folder / "log").open("w") as output:
        environ = {
            "OPENAI_API_KEY": "sk-upstream",
            "OPENAI_BASE_URL": upstream,
            "LOG_LEVEL": "warning",
            "LOG_FORMAT": "json",
            **(plant.environ if plant else {}),
            **({"REDIS_URL": redis.url} if shared else {}),
        }
        with process(environ, output) as (service, url):
            yield Replica(service, url, upstream, folder / "log")


async def test_two_requests_on_one_connection_and_a_close_hurt_nobody_g1(tmp_path: Path) -> None:
    """The one that froze a replica: its reader's callback raised in the group commit of all streams."""
    with replica(tmp_path) as one:
        url = httpx.URL(one.url)
        others = [asyncio.create_task(one.text(f"other {number}", 4.0)) for number in range(BYSTANDERS)]
        for number in range(3):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            try:
                writer.write(request(f"first {number}") + request(f"second {number}"))
                await reader.readuntil(b"event: delta")
            finally:
                writer.close()
                await writer.wait_closed()
        left = time.monotonic()

        async def only_theirs() -> bool:
            return await one.open_calls() == BYSTANDERS

        await eventually(only_theirs, UPSTREAM_SECONDS)
        assert time.monotonic() - left < UPSTREAM_SECONDS
        after = await one.text("afterwards", 1.0)
        seen = await asyncio.gather(*others)
        assert min(seen) > 1_000
        assert after > 200
        assert json.loads((await call(one.url, "GET", "/readyz"))[1])["status"] == "ready"
        one.process.terminate()
        assert await asyncio.to_thread(one.process.wait, 40) == 0


@pytest.mark.parametrize("shared", [True, False], ids=["redis", "memory"])
async def test_a_reader_whose_callback_raises_is_cut_and_the_others_go_on_g1(tmp_path: Path, shared: bool) -> None:
    """By itself, whatever the cause: the wall is in the log. It is counted, and its stack is logged once."""
    plant = Plant(tmp_path, "reader")
    with replica(tmp_path, plant, shared=shared) as one:
        body = {"model": MODEL, "prompt": "shared", "max_tokens": 300}
        async with ask(one.url, "POST", "/v1/streams", body) as hurt:
            await anext(hurt.pieces())
            plant.trigger()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                async with asyncio.timeout(5):
                    await hurt.whole()
        plant.heal()
        # The producer has gone on: the whole answer is there for the reader that comes back (S3).
        answer, whole = await call(one.url, "GET", f"/v1/streams/{hurt.stream_id}")
        assert answer.status == 200
        assert b"event: complete" in whole
        metrics = (await call(one.url, "GET", "/metrics"))[1].decode()
        assert 'headgate_defects_total{where="reader"} 1.0' in metrics
        assert (await call(one.url, "GET", "/readyz"))[0].status == 200
    said = one.log.read_text()
    assert said.count("Traceback") == 1, said
    assert '"where":"reader"' in said
