"""The response itself, with time in hand: headers that wait, heartbeats, stalled clients (S10, S11)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.responses import Response
from starlette.types import Message, Scope

from adapters.memory.manual_clock import ManualClock
from adapters.memory.stream_log import MemoryStreamLog
from domain.delta import Delta
from domain.model import CacheStatus, Complete, Event, Failed, Lease, StreamInfo
from domain.services.streams import Attachment
from domain.services.sweeper import Sweeper
from entrypoints.http.server.exchange import DIRECT
from entrypoints.http.sse import Encoder, OpenStreams, StreamResponse
from entrypoints.wire.native import NativeEncoder
from entrypoints.wire.openai import OpenAIEncoder

INFO = StreamInfo("s_1", "e", "fast", 1_700_000_000, "t_1")


@dataclass
class Client:
    """The server's side of ASGI, held by a test: what was sent, and whether more is taken."""

    log: MemoryStreamLog
    lease: Lease
    clock: ManualClock
    sweeper: Sweeper
    streams: OpenStreams
    sent: list[Message] = field(default_factory=list)
    takes: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    aborted: bool = False
    gone: Callable[[], None] | None = None

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        self.sent.append(message)

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def lost(self) -> bool:
        return self.left.is_set()

    def leave(self) -> None:
        self.left.set()
        if self.gone is not None:
            self.gone()

    def begin(self, headers: Mapping[str, str], more: bytes) -> bool:
        if self.takes.is_set():
            self.sent.append({"type": "http.response.start", "status": 200, "headers": [headers, more]})
        return self.takes.is_set()

    def write(self, body: bytes) -> bool:
        if self.takes.is_set() and self.sent:
            self.sent.append({"type": "http.response.body", "body": body, "more_body": True})
            return True
        return False

    def finish(self) -> bool:
        return False

    def uncork(self) -> None:
        """Nothing is held back: this is not the server."""

    def abort(self) -> None:
        self.aborted = True
        self.takes.set()
        self.leave()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def append(self, *events: Event) -> None:
        self.log.append(self.lease, events)
        await self.clock.advance(0)

    async def wait(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            await self.clock.advance(1.0)
            self.sweeper.sweep()
            await self.clock.advance(0)


def failure(failed: Failed) -> Response:
    return Response(failed.code, 502)


@asynccontextmanager
async def responding(encoder: Encoder, *, waits: bool = True, direct: bool = True) -> AsyncIterator[Client]:
    """A response under way to a client that takes everything until it is told not to."""
    clock = ManualClock()
    sweeper = Sweeper(clock)
    log = MemoryStreamLog(clock, max_bytes=2**24)
    lease = await log.open(INFO)
    reader = await log.follow(INFO.stream_id)
    assert reader is not None
    streams = OpenStreams(clock, sweeper, heartbeat=15.0, hold=10.0, send_timeout=30.0)
    attachment = Attachment(reader, INFO, CacheStatus.MISS, None)
    response = StreamResponse(streams, attachment, encoder, {}, error=failure if waits else None)
    client = Client(log, lease, clock, sweeper, streams)
    client.takes.set()
    scope: Scope = {"type": "http", "method": "GET", "extensions": {DIRECT: client} if direct else {}}
    task = asyncio.create_task(response(scope, client.receive, client.send))
    try:
        await clock.advance(0)
        yield client
        client.leave()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 5)
    finally:
        task.cancel()
    assert len(streams) == 0
    assert len(sweeper) == 0


ENCODERS: list[tuple[Encoder, bytes]] = [
    (NativeEncoder(INFO), b": ping\n\n"),
    (OpenAIEncoder(INFO, include_usage=False), b": ping\n"),
]


@pytest.mark.parametrize(("encoder", "beat"), ENCODERS)
async def test_headers_wait_ten_seconds_for_the_first_event_then_leave_with_a_heartbeat_s10(
    encoder: Encoder, beat: bytes
) -> None:
    async with responding(encoder) as client:
        await client.wait(9)
        assert client.sent == []
        await client.wait(1)
        assert client.sent[0]["status"] == 200
        assert client.body == beat
        await client.wait(14)
        assert client.body == beat
        await client.wait(1)
        assert client.body == beat * 2
        await client.append(Delta("a"))
        await client.wait(14)
        assert client.body.count(b": ping") == 2
        await client.append(Complete("stop", None, "m", "p/m"))
        assert client.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_an_early_failure_has_its_own_status_a_late_one_is_an_event() -> None:
    failed = Failed("provider_timeout", "Silent.", retryable=True)
    async with responding(NativeEncoder(INFO)) as client:
        await client.append(failed)
        assert client.sent[0]["status"] == 502
    async with responding(NativeEncoder(INFO)) as client:
        await client.wait(10)
        await client.append(failed)
        assert client.sent[0]["status"] == 200
        assert b"event: error" in client.body


async def test_a_get_sends_its_headers_at_once_s10() -> None:
    async with responding(NativeEncoder(INFO), waits=False) as client:
        assert [message["type"] for message in client.sent] == ["http.response.start"]


@pytest.mark.parametrize("idle", [False, True])
async def test_a_client_that_takes_nothing_is_aborted_after_thirty_seconds_s11(idle: bool) -> None:
    async with responding(NativeEncoder(INFO), waits=False) as client:
        client.takes.clear()
        await client.append(Delta("a"))
        for _ in range(29):
            if not idle:
                await client.append(Delta("b"))
            await client.wait(1)
        before = client.aborted
        await client.wait(1)
        assert (before, client.aborted) == (False, True)
        await client.clock.advance(0)
        assert len(client.streams) == 0


async def test_without_our_protocol_the_stalled_response_gives_up_s11() -> None:
    async with responding(NativeEncoder(INFO), waits=False, direct=False) as client:
        client.takes.clear()
        await client.append(Delta("a"))
        await client.wait(31)
        assert len(client.streams) == 0


async def test_large_batches_are_written_in_pieces_s11() -> None:
    async with responding(NativeEncoder(INFO)) as client:
        await client.append(*[Delta("x" * 10_000)] * 200)
        sizes = [len(message["body"]) for message in client.sent if message["type"] == "http.response.body"]
        assert sum(sizes) > 2_000_000
        assert max(sizes) <= 256 * 1024


async def test_a_client_that_leaves_before_anything_was_sent_costs_nothing() -> None:
    async with responding(NativeEncoder(INFO)) as client:
        client.leave()
        await client.clock.advance(0)
        assert client.sent == []
        assert len(client.streams) == 0


@pytest.mark.parametrize(("encoder", "_beat"), ENCODERS)
async def test_a_server_that_goes_away_says_goodbye_to_all_and_to_who_comes_later_s12(
    encoder: Encoder, _beat: bytes
) -> None:
    async with responding(encoder) as client:
        await client.append(Delta("a"))
        client.streams.say_goodbye()
        await client.clock.advance(0)
        assert b"retry: " in client.body
        assert not client.sent[-1]["more_body"]
        reader = await client.log.follow(INFO.stream_id)
        assert reader is not None
        late = StreamResponse(client.streams, Attachment(reader, INFO, CacheStatus.MISS, None), encoder, {})
        client.sent.clear()
        await late({"type": "http", "method": "GET"}, client.receive, client.send)
        assert b"retry: " in client.body
