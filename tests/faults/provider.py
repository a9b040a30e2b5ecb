"""An OpenAI-compatible upstream that behaves or misbehaves by model name, for tests: a process of its own.

    python -m tests.faults.provider --port 0      # prints its port on the first line

`POST .../chat/completions` answers as `BEHAVIOURS` says for the model, of whose name what stands before `--` does not
matter; the number of tokens is `max_tokens`, else 60, and a partial answer in the conversation is gone on with.
`GET /_stats` tells what was seen, per model: requests, open, most_open (at once), times (monotonic seconds of each
request), hangups (seconds from the request to the client's hanging up), sent (bytes of each answer that found room),
body and headers (of the last request).
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.behaviours import BEHAVIOURS
from tests.faults.exchange import UNICODE_TEXT, Exchange

__all__ = ["UNICODE_TEXT", "Server", "main", "process"]


@dataclass
class ModelStats:
    """What was seen of one model."""

    requests: int = 0
    open: int = 0
    most_open: int = 0
    times: list[float] = field(default_factory=list)
    hangups: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """Serves connections, one request after another, and keeps count."""

    def __init__(self) -> None:
        self.stats: dict[str, ModelStats] = {}
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        lead = b""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                lines = (lead + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                exchange = Exchange(writer, json.loads(body) if body else {})
                lead = b""
                if lines[0].startswith("GET /_stats"):
                    seen = {model: vars(stats) for model, stats in self.stats.items()}
                    await exchange.reply(200, json.dumps({"connections": self.connections, "models": seen}).encode())
                elif lines[0].startswith("POST ") and "/chat/completions" in lines[0]:
                    lead = await self._answer(exchange, reader, headers)
                else:
                    await exchange.reply(404, b"{}")
        writer.close()

    async def _answer(self, exchange: Exchange, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        """Plays the behaviour until its end or until the client hangs up; returns the first byte of what follows."""
        stats = self.stats.setdefault(exchange.model, ModelStats())
        stats.requests += 1
        stats.open += 1
        stats.most_open = max(stats.most_open, stats.open)
        stats.body, stats.headers = exchange.body, headers
        exchange.number = stats.requests
        began = time.monotonic()
        stats.times.append(began)
        behave = BEHAVIOURS.get(exchange.model.rpartition("--")[2], BEHAVIOURS["404"])
        answer = asyncio.ensure_future(behave(exchange))
        hangup = asyncio.ensure_future(_read_on(reader))
        try:
            await asyncio.wait([answer, hangup], return_when=asyncio.FIRST_COMPLETED)
            lead = hangup.result() if hangup.done() else b""
            if lead:
                await answer
            if not answer.done() or isinstance(answer.exception(), ConnectionError):
                stats.hangups.append(time.monotonic() - began)
                exchange.writer.close()
            return lead
        finally:
            stats.open -= 1
            stats.sent.append(exchange.sent)
            for task in (answer, hangup):
                task.cancel()
            await asyncio.gather(answer, hangup, return_exceptions=True)


async def _read_on(reader: asyncio.StreamReader) -> bytes:
    """The first byte after a request: of the next one, or b"" when the client has closed."""
    with suppress(ConnectionError):
        return await reader.read(1)
    return b""


@contextmanager
def process() -> Iterator[str]:
    """This program in a process of its own; its base URL, with the version."""
    command = [sys.executable, "-m", "tests.faults.provider", "--port", "0"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
        finally:
            child.kill()


async def main() -> None:
    """Serves until it is killed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    server = await asyncio.start_server(Server().serve, "127.0.0.1", arguments.parse_args().port, limit=1 << 24)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the caller reads it
    await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
