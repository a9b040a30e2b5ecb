"""Headgate in this process on a real socket, and in another process, for tests that are its clients."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import httpx
from dependency_injector import providers

from adapters.memory.recorder import MemoryRecorder
from adapters.settings import get_settings
from container import Container
from entrypoints.http.sse import OpenStreams
from entrypoints.main import build_app
from entrypoints.server import DrainingServer
from ports.provider import Provider

START_SECONDS = 20.0
JSON = {"Content-Type": "application/json"}


@dataclass
class Running:
    """A service that answers at `url`; its container is there for what a client cannot see."""

    url: str
    container: Container
    streams: OpenStreams
    recorder: MemoryRecorder
    server: DrainingServer
    client: httpx.AsyncClient

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    async def until_idle(self) -> None:
        """Waits until no generation runs and no response is open."""
        await until(lambda: not len(self.container.generations()) and not len(self.streams))


async def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Waits until it holds, `seconds` at most."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for lies in a service that knows nothing of tests
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(
    environ: Mapping[str, str] | None = None,
    llm: Mapping[str, Provider] | None = None,
    **adapters: object,
) -> AsyncIterator[Running]:
    """A service with these settings and, instead of the configured ones, these providers and adapters."""
    container = Container(settings=get_settings({"RATE_LIMIT_REQUESTS_PER_MINUTE": "1000000", **(environ or {})}))
    recorder = MemoryRecorder(10_000)
    container.recorder.override(providers.Object(recorder))
    if llm is not None:
        container.llm_providers.override(providers.Object(llm))
    for name, adapter in adapters.items():
        getattr(container, name).override(providers.Object(adapter))
    app, streams = build_app(container)
    listener = socket.create_server(("127.0.0.1", 0))
    server = DrainingServer(
        app,
        container.stream_service(),
        streams,
        container.connections(),
        host="127.0.0.1",
        port=0,
        drain_timeout=container.settings().stream.drain_timeout,
    )
    serving = asyncio.create_task(server._serve([listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        await until(lambda: server.started, START_SECONDS)
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:
            yield Running(url, container, streams, recorder, server, client)
    finally:
        streams.say_goodbye()
        server.should_exit = True
        await serving
        listener.close()


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """It holds within this time: for tests without an event loop."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        _pause(0.02)


def free_port() -> int:
    """A port that was free a moment ago, below those that the kernel gives to outgoing connections meanwhile."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("no port is free")


@contextlib.contextmanager
def process(
    environ: Mapping[str, str] | None = None,
    output: int | IO[str] = subprocess.PIPE,
    arguments: Sequence[str] = (),
    files: int | None = None,
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`headgate serve` in a process of its own, ready to answer; and its URL. It is killed if it is still there.

    A test with many requests gives a file for the output: a pipe that nobody reads holds the service up at 64 KiB.
    `files` is how many files the process may have open.
    """
    port = free_port()
    limit = () if files is None else ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh")
    own = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PYTHONPATH"}}
    service = subprocess.Popen(
        [*limit, sys.executable, "-m", "entrypoints", "serve", "--port", str(port), *arguments],
        env={**own, **(environ or {})},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _await_port(service, port)
        yield service, f"http://127.0.0.1:{port}"
    finally:
        if service.poll() is None:
            service.send_signal(signal.SIGKILL)
        service.communicate()


def _await_port(service: "subprocess.Popen[str]", port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=1) as client:
        for _ in range(int(START_SECONDS / 0.05)):
            if service.poll() is not None:
                raise RuntimeError(f"headgate ended with {service.returncode}: {service.communicate()[0]}")
            try:
                if client.get("/readyz").is_success:
                    return
            except httpx.TransportError:
                # Not there yet. The process is watched above, so this is a wait with an end.
                _pause(0.05)
    raise TimeoutError("headgate did not become ready")


def _pause(seconds: float) -> None:
    signal.sigtimedwait([], seconds)
