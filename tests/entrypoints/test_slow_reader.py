"""A reader that stops reading costs little, is cut in time, and slows nobody (S11)."""

import asyncio
import json
import os
import socket
import time
from contextlib import ExitStack
from itertools import chain

from adapters.memory.clock import SystemClock
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script
from domain.delta import Delta
from tests.event_source import parse
from tests.service import Running, running, until

BLOCK = "x" * 10_000
STALLED = 1_000 if "HEADGATE_FLEET_SECONDS" in os.environ else 300
"""All that fault 39 asks for in the long form alone: to fill a thousand sockets takes ten seconds."""
SLACK_SECONDS = 0.25
SCRIPTS = {
    "flood": Script((Delta(BLOCK),) * 1_000, delay=0.001),
    "short-flood": Script((Delta(BLOCK),) * 400, delay=0.001),
    "burst-then-idle": Script((Delta(BLOCK),) * 1_200, batch=1_000, stall_at=1_000),
    "others": Script((Delta("word "),) * 50, delay=0.02),
}


def stalled_socket(service: Running, model: str, prompt: str) -> socket.socket:
    """A client that asks and never reads."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", service.port))
    body = json.dumps({"model": f"demo/{model}", "prompt": prompt}).encode()
    client.sendall(
        b"POST /v1/streams HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (len(body), body)
    )
    return client


def most_buffered(service: Running) -> int:
    """The bytes that the fullest connection holds for its client."""
    sizes = [connection.transport.get_write_buffer_size() for connection in service.server.server_state.connections]
    return max(sizes, default=0)


async def ask(service: Running, number: int) -> list[float]:
    """One of the others: the pauses between two reads of its stream, seconds."""
    pauses, last = [], time.monotonic()
    request = {"model": "demo/others", "prompt": str(number)}
    text = b""
    async with service.client.stream("POST", "/v1/streams", json=request) as response:
        async for piece in response.aiter_raw():
            now = time.monotonic()
            pauses.append(now - last)
            last = now
            text += piece
    assert parse(text)[-1].event == "complete"
    return pauses


async def test_a_reader_that_stops_reading_is_cut_and_may_resume_s11() -> None:
    """Fault 39, two of them."""
    provider = DemoProvider("demo", SystemClock(), SCRIPTS)
    environ = {"STREAM_SEND_TIMEOUT": "1", "STREAM_ORPHAN_GRACE": "30", "STREAM_MAX_CONCURRENT_PER_CALLER": "100"}
    async with running(environ, llm={"demo": provider}) as service:
        stalled = [stalled_socket(service, model, "s") for model in ("flood", "burst-then-idle")]
        others = [asyncio.create_task(ask(service, number)) for number in range(20)]
        buffered = 0
        started = time.monotonic()
        await until(lambda: len(service.streams) >= 20)
        while not all(other.done() for other in others) or len(service.streams):
            buffered = max(buffered, most_buffered(service))
            await asyncio.sleep(0.02)
            assert time.monotonic() - started < 20
        # Bounded, and gone: cut although the second stream has nothing more to say.
        assert 0 < buffered <= 1024 * 1024
        assert max(chain(*await asyncio.gather(*others))) < 1
        assert len(service.container.generations()) > 0  # the work goes on for its grace: the reader may resume
        for client in stalled:
            client.close()
        await service.container.generations().aclose()


async def p99_of_others(service: Running, first: int) -> float:
    """The 99th percentile of all pauses of twenty at once."""
    pauses = sorted(chain(*await asyncio.gather(*(ask(service, first + number) for number in range(20)))))
    return pauses[len(pauses) * 99 // 100]


async def test_hundreds_of_readers_that_stop_reading_are_cut_and_slow_nobody_s11() -> None:
    """Fault 39. They share one call, and the others are measured when that is over and all of them have stalled: what
    fills their buffers is work. A busy machine is the slack."""
    provider = DemoProvider("demo", SystemClock(), SCRIPTS)
    environ = {"STREAM_SEND_TIMEOUT": "8", "STREAM_ORPHAN_GRACE": "60", "STREAM_MAX_CONCURRENT_PER_CALLER": "100"}
    async with running(environ, llm={"demo": provider}) as service:
        alone = await p99_of_others(service, 0)
        with ExitStack() as stack:
            for _ in range(STALLED):
                stack.enter_context(stalled_socket(service, "short-flood", "shared"))
                await asyncio.sleep(0)  # or the listener's backlog is full
            await until(lambda: len(service.streams) == STALLED and not provider.open, 30)
            beside = await p99_of_others(service, 100)
            assert len(service.streams) == STALLED
            assert most_buffered(service) <= 1024 * 1024
            await until(lambda: not len(service.streams), 15)
        assert provider.calls == 41
    assert beside <= 1.1 * alone + SLACK_SECONDS, (alone, beside)
