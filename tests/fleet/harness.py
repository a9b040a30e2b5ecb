"""A fleet for tests: replicas in processes of their own on one real Redis, and an upstream that counts its calls."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import IO, Any
from urllib.parse import urlsplit

from tests.faults import provider
from tests.fleet.http_client import Answer, ask, call
from tests.redis_server import RedisServer
from tests.service import process

ENVIRON = {
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "warning",
    "OPENAI_API_KEY": "sk-upstream",
    "RATE_LIMIT_ENABLED": "false",
    "STREAM_MAX_CONCURRENT_PER_CALLER": "10000",
}
"""All clients here are one anonymous caller, that of 127.0.0.1."""


@dataclass
class Replica:
    """One `headgate serve`."""

    process: "Popen[str]"
    url: str
    output: IO[str]

    def log(self) -> str:
        """What it has written so far."""
        return Path(self.output.name).read_text()

    async def metrics(self) -> dict[str, float]:
        """Its gauges and counters without labels."""
        _, body = await call(self.url, "GET", "/metrics")
        rows = (line.split(" ") for line in body.decode().splitlines() if not line.startswith("#") and "{" not in line)
        return {name: float(value) for name, value in rows}

    async def ready(self) -> dict[str, Any]:
        """What its readiness says."""
        _, body = await call(self.url, "GET", "/readyz")
        return dict(json.loads(body))

    def descriptors(self, upstream: str) -> int:
        """Open file descriptors, apart from idle connections to the upstream: those are kept for half a minute."""
        kept = _sockets_to(urlsplit(upstream).port or 0)
        links = [link.readlink().name for link in Path(f"/proc/{self.process.pid}/fd").iterdir() if link.is_symlink()]
        return sum(link not in kept for link in links)


@dataclass
class Fleet:
    """Replicas, their Redis and their upstream."""

    replicas: list[Replica]
    redis: RedisServer
    upstream: str

    def url(self, number: int) -> str:
        """The address of a replica, counted round."""
        return self.replicas[number % len(self.replicas)].url

    async def seen(self, model: str) -> dict[str, Any]:
        """What the upstream has seen of a model."""
        _, body = await call(self.upstream.removesuffix("/v1"), "GET", "/_stats")
        stats = json.loads(body)["models"].get(model)
        return dict(stats) if stats else {"requests": 0, "open": 0, "hangups": []}

    def start(
        self, number: int, prompt: str, model: str = "ok-slow", headers: dict[str, str] | None = None, **fields: Any
    ) -> contextlib.AbstractAsyncContextManager[Answer]:
        """Starts a native stream on a replica."""
        body = {"model": f"openai/{model}", "prompt": prompt, **fields}
        return ask(self.url(number), "POST", "/v1/streams", body, headers)

    async def begin(self, number: int, prompt: str, model: str = "ok-slow", **fields: Any) -> str:
        """Starts a stream that nobody reads; its id."""
        body = {"model": f"openai/{model}", "prompt": prompt, **fields}
        answer, data = await call(self.url(number), "POST", "/v1/streams", body, {"Prefer": "respond-async"})
        assert answer.status == 202, data
        return str(json.loads(data)["stream_id"])


@contextlib.contextmanager
def running_fleet(
    redis: RedisServer, *, count: int = 3, redis_url: str | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Fleet]:
    """So many replicas on this Redis, started together. No replica may have reported a defect at the end."""
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(provider.process())
        settings = {**ENVIRON, "OPENAI_BASE_URL": upstream, "REDIS_URL": redis_url or redis.url, **(environ or {})}
        outputs = [stack.enter_context(tempfile.NamedTemporaryFile("w", prefix="headgate-")) for _ in range(count)]
        try:
            with ThreadPoolExecutor(count) as pool:
                started = list(pool.map(lambda output: stack.enter_context(process(settings, output.file)), outputs))
        except RuntimeError as error:
            error.add_note("\n".join(Path(output.name).read_text()[-2000:] for output in outputs))
            raise
        replicas = [Replica(*one, output) for one, output in zip(started, outputs, strict=True)]
        yield Fleet(replicas, redis, upstream)
        for replica in replicas:
            assert "Traceback" not in replica.log(), replica.log()[-5000:]


async def eventually(holds: Callable[[], Coroutine[Any, Any, bool]], seconds: float = 5.0) -> None:
    """Waits until it holds, `seconds` at most."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - what is waited for lies in another process
            await asyncio.sleep(0.02)


def _sockets_to(port: int) -> set[str]:
    """The names of all sockets of this machine whose other end is this port, as /proc/PID/fd writes them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if int(row[2].partition(":")[2], 16) == port}
