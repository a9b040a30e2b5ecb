"""A stream as a Server-Sent Events response. The only file that knows sse-starlette.

`StreamResponse` keeps sse-starlette's response and headers and replaces how it runs: the stock one costs a task group
with four tasks a request and a cancel scope, a lock and a log call an event (0.7 ms and 20 us, measured). Here one
coroutine reads a batch and writes it; the connection tells when the client leaves, the sweeper when time is up.
"""

import asyncio
import random
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Protocol

from sse_starlette import EventSourceResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.errors import ReaderDefectError, StreamNotResumableError
from domain.events import Kind, columns
from domain.model import Batch, Failed
from domain.services.generations import failed
from domain.services.streams import Attachment
from domain.services.sweeper import Sweeper
from domain.weight import weight
from entrypoints.http.connection import ReaderConnection
from entrypoints.http.headers import target_header
from entrypoints.http.server.exchange import Exchange
from ports.clock import Clock

# One write of this size at most: the server then waits for the client before it takes the next (S11).
MAX_WRITE = 256 * 1024
RETRY_MS = (1000, 3000)


class Encoder(Protocol):
    """What a door writes: see `entrypoints.wire`."""

    media_type: str
    heartbeat: bytes
    not_resumable: bytes
    """Tells that the stream cannot be resumed for the time being (S14)."""

    @abstractmethod
    def encode(self, batch: Batch) -> bytes:
        """The events as SSE, in one piece."""

    @abstractmethod
    def pieces(self, seq: int, text: str, kind: Kind) -> Iterator[bytes]:
        """One event as `encode` has it, piece by piece."""

    @abstractmethod
    def lost(self, failure: Failed) -> bytes:
        """The end for a reader whose stream's rest is gone, with an id of its own (S5)."""

    @abstractmethod
    def farewell(self, retry_ms: int) -> bytes:
        """What a reader is told when the process goes away."""


ErrorResponse = Callable[[Failed], Response]
"""Makes the response to a stream that failed before its first event, with a status and headers of its own."""


class OpenStreams:
    """The responses that are being written in this process, and the times that bind them (seconds)."""

    def __init__(self, clock: Clock, sweeper: Sweeper, *, heartbeat: float, hold: float, send_timeout: float) -> None:
        self.clock = clock
        self.sweeper = sweeper
        self.heartbeat = heartbeat
        self.hold = hold
        self.send_timeout = send_timeout
        self.leaving = False
        self._responses: set[StreamResponse] = set()

    def __len__(self) -> int:
        return len(self._responses)

    def add(self, response: "StreamResponse") -> None:
        """From now on `response` is told when the process goes away."""
        self._responses.add(response)

    def remove(self, response: "StreamResponse") -> None:
        """It has ended."""
        self._responses.discard(response)

    def say_goodbye(self) -> None:
        """Closes every response, and each that begins from now on, with a hint to come back elsewhere (S12)."""
        self.leaving = True
        for response in self._responses:
            response.leave()


class StreamResponse(EventSourceResponse):
    """One reader's response.

    With `error`, headers wait for the first event (or the hold to pass), so that an early failure gets its status;
    without, they leave at once, `preamble` with them.
    """

    def __init__(
        self,
        streams: OpenStreams,
        attachment: Attachment,
        encoder: Encoder,
        headers: Mapping[str, str],
        *,
        preamble: bytes = b"",
        error: ErrorResponse | None = None,
    ) -> None:
        # What the base class's own constructor would leave to be used.
        self.status_code, self.background = 200, None
        self._own_headers = headers
        self._streams = streams
        self._attachment = attachment
        self._encoder = encoder
        self._preamble = preamble
        self._error = error
        self._leaving = streams.leaving
        self._sending = False
        self._started = False
        self._resumable = True
        self._direct: Exchange | None = None
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Writes the stream until it ends, the client leaves, or the process goes away."""
        connection = ReaderConnection(self._attachment, scope, receive)
        self._direct = connection.direct
        self._task = asyncio.current_task()
        self._streams.add(self)
        self._alarm = self._streams.sweeper.alarm(self._streams.hold, self._ring)
        try:
            async with connection:
                try:
                    await self._respond(connection, scope, receive, send)
                except StreamNotResumableError as lost:
                    if not self._started:
                        raise
                    await self._write(send, self._encoder.lost(failed(lost)))
                    await self._finish(send)
                except ReaderDefectError:  # told where it was raised (G1); what was sent has no end, so the client sees
                    if self._direct is None:
                        raise
                    self._direct.abort()
        finally:
            self._alarm.cancel()
            self._streams.remove(self)

    def leave(self) -> None:
        """Ends the response after what has been read, with a farewell."""
        self._leaving = True
        self._attachment.reader.nudge()

    async def _respond(self, connection: ReaderConnection, scope: Scope, receive: Receive, send: Send) -> None:
        if self._error is None:
            await self._start(send, None)
            await self._write(send, self._preamble)
            batch = await self._attachment.reader.read(self._push)
        else:
            batch = await self._attachment.reader.read()
            if connection.gone:
                return
            if batch is not None and isinstance(batch.events[0], Failed):
                await self._error(batch.events[0])(scope, receive, send)
                return
            await self._start(send, batch)
        await self._copy(connection, batch, send)
        if not connection.gone:
            await self._finish(send)

    async def _start(self, send: Send, batch: Batch | None) -> None:
        self._started = True
        headers = {**self._own_headers, **target_header(self._attachment, batch)}
        self._own_headers = {}  # 1 KB of an open stream
        if self._direct is None or not self._direct.begin(headers, stock_lines(self._encoder.media_type)):
            raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
            raw += stock_headers(self._encoder.media_type)
            await send({"type": "http.response.start", "status": 200, "headers": raw})

    async def _finish(self, send: Send) -> None:
        if self._direct is None or not self._direct.finish():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _copy(self, connection: ReaderConnection, batch: Batch | None, send: Send) -> None:
        """From the log to the client: what `_push` has not written already."""
        reader = self._attachment.reader
        while not connection.gone:
            if self._resumable and not reader.resumable:
                self._resumable = False
                await self._write(send, self._encoder.not_resumable)  # before the batch: it may be the end (S4)
            if batch is not None:
                await self._write_batch(send, batch)
            if reader.ended:
                return
            if batch is None and not self._leaving:
                await self._write(send, self._encoder.heartbeat)
            if self._leaving:
                await self._write(send, self._encoder.farewell(random.randint(*RETRY_MS)))  # noqa: S311 - jitter
                return
            self._uncork()
            batch = await reader.read(self._push)

    def _push(self, batch: Batch) -> bool:
        """Writes a batch in the moment in which it is appended, without a turn of this response's task: the path of
        each event. Whatever needs more than that is declined, and `_copy` does it."""
        direct = self._direct
        if direct is None or self._leaving:
            return False
        body = self._encoder.encode(batch)
        if len(body) > MAX_WRITE or not direct.write(body):
            return False
        streams = self._streams
        self._alarm.at = streams.clock.monotonic() + streams.heartbeat
        return True

    async def _write_batch(self, send: Send, batch: Batch) -> None:
        """One large event is encoded as the client takes it: several readers of it hold it once (S11)."""
        first, events = batch
        if len(events) > 1 or weight(columns(events)) <= MAX_WRITE:
            await self._write(send, self._encoder.encode(batch))
            return
        given = columns(events)
        for piece in self._encoder.pieces(first, given.texts[0], given.kinds[0]):
            self._uncork()
            await self._write(send, piece)

    async def _write(self, send: Send, body: bytes) -> None:
        """Writes `body`; while that is under way the alarm means a client that takes nothing, else a silent stream."""
        streams = self._streams
        now = streams.clock.monotonic()
        if len(body) > MAX_WRITE:
            self._uncork()
        for start in range(0, len(body), MAX_WRITE):
            if start:
                now = streams.clock.monotonic()
            self._alarm.at = now + streams.send_timeout
            self._sending = True
            piece = body[start : start + MAX_WRITE]
            if self._direct is None or not self._direct.write(piece):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            self._sending = False
        self._alarm.at = now + streams.heartbeat

    def _uncork(self) -> None:
        """What comes next may have to be waited for."""
        if self._direct is not None:
            self._direct.uncork()

    def _ring(self) -> None:
        if not self._sending:
            self._alarm = self._streams.sweeper.alarm(self._streams.heartbeat, self._ring)
            self._attachment.reader.nudge()
        elif self._direct is not None:
            self._direct.abort()
        elif self._task is not None:
            self._task.cancel()  # a server without our protocol: it closes the connection when the app gives up


@lru_cache(maxsize=8)
def stock_headers(media_type: str) -> list[tuple[bytes, bytes]]:
    """The headers of every event stream, as sse-starlette has them, but for the connection's: that is the server's."""
    given = EventSourceResponse(iter(()), media_type=media_type).raw_headers
    return [header for header in given if header[0] != b"connection"]


@lru_cache(maxsize=8)
def stock_lines(media_type: str) -> bytes:
    """The same as they stand in a head."""
    return b"".join([b"%b: %b\r\n" % header for header in stock_headers(media_type)])
