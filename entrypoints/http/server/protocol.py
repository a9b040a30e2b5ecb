"""One HTTP/1.1 connection: bytes to requests, one at a time, each within its bounds (G1 to G4, G7)."""

import asyncio
import logging
import math
from enum import Enum, auto
from typing import cast

from starlette.types import Scope
from uvicorn.server import ServerState

from domain.errors import SSEBaseError
from entrypoints.http.server.body import RequestBody
from entrypoints.http.server.exchange import DIRECT, STATUS_LINES, Application, Exchange, Link
from entrypoints.http.server.head import END, Head, HttpRefusalError, check_beginning, parse_head
from entrypoints.http.server.registry import Registry
from entrypoints.http.server.tcp_state import has_left
from ports.defects import Wall, Where
from ports.refusals import Door

NEVER = math.inf


class Phase(Enum):
    """What the connection waits for."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    """The request is whole; what comes now is the next one's."""
    END = auto()
    """All is said; what still comes is dropped, so that the client reads the answer and sees no reset."""
    LOST = auto()


class HttpProtocol(asyncio.Protocol, Link):
    """Created by `Connections.accept`, for each connection. A second request begins when the first is answered."""

    __slots__ = (
        "_app",
        "_backlog",
        "_body",
        "_buffer",
        "_client",
        "_connections",
        "_deaf",
        "_drain",
        "_exchange",
        "_lingered",
        "_loop",
        "_phase",
        "_reused",
        "_server",
        "_state",
        "_unsent",
        "_unsent_at",
        "address",
        "deadline",
        "read_paused",
        "transport",
        "write_paused",
    )  # fmt: skip

    def __init__(self, connections: Registry, app: Application, state: ServerState) -> None:
        self._connections = connections
        self._app = app
        self._state = state
        self._phase = Phase.HEAD
        self._buffer = b""
        """The beginning of a head, or what came behind a request that is not answered yet."""
        self._exchange: Exchange | None = None
        self._body: RequestBody | None = None
        """The body that is on its way."""
        self._backlog = False
        self._deaf = False
        """Whether what comes is dropped: the connection ends with the response."""
        self._reused = False
        self._lingered = 0
        self._drain: asyncio.Future[None] | None = None
        self._unsent, self._unsent_at = 0, 0.0
        self.address = ""
        self.deadline = NEVER
        self.read_paused = self.write_paused = False

    # From the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()  # asked once: each time, it is a system call
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        self._server = (str(own[0]), int(own[1])) if isinstance(own, tuple) else None
        self._state.connections.add(self)  # type: ignore[arg-type]  # its type names uvicorn's own classes
        if self._connections.admit(self, "local" if self._client is None else self._client[0]):
            self.deadline = self._connections.now() + self._connections.limits.head_seconds
        else:
            self._refuse(HttpRefusalError(503, "too_many_connections", "Too many connections.", b"retry-after: 1\r\n"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was sent away: whoever works for it is told."""
        self._phase, self.deadline = Phase.LOST, NEVER
        if self._buffer:
            self._hold(b"")
        self._state.connections.discard(self)
        self._connections.remove(self)
        self.resume_writing()
        self._part()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        try:
            if self._deaf:
                self._drop(len(data))
            elif self._phase is Phase.HEAD:
                self._read_head(data)
            elif self._exchange is not None and self._body is not None:
                self._read_body(self._exchange, self._body, data)
            elif self._phase is Phase.ANSWER:
                self._keep(data)
            elif self._phase is Phase.END:
                self._drop(len(data))
        except HttpRefusalError as refusal:
            self._refuse(refusal)

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        self.write_paused = True
        self._unsent, self._unsent_at = self.transport.get_write_buffer_size(), self._connections.now()

    def resume_writing(self) -> None:
        """The client has taken most of it."""
        self.write_paused = False
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)

    # To uvicorn.

    def shutdown(self) -> None:
        """The server ends: the connection does so after its response."""
        if self._exchange is None:
            self._close()
        else:
            self._exchange.keep_alive = False

    # To the exchange.

    async def drained(self) -> None:
        """Returns once the client takes more, or has gone. `look` sees to it that this comes."""
        if self.write_paused:
            self._drain = self._loop.create_future()
            try:
                await self._drain
            finally:
                self._drain = None

    def own_headers(self) -> bytes:
        """The date, and what the server is configured to add."""
        return self._connections.own_headers(self._state.default_headers)

    def body_read(self) -> bool:
        """Whether the body has come to its end."""
        return self._phase is not Phase.BODY

    def drop_body(self) -> None:
        """The response begins, and the body is not wanted any more: what comes of it is read and dropped. A transport
        that does not read is not told when its client leaves."""
        self._deaf, self._body, self.deadline = True, None, NEVER
        self._hold(b"")
        if self.read_paused:
            self._resume_reading()

    def want_body(self) -> None:
        """Goes on reading."""
        if self._body is not None and self.read_paused and not self._backlog:
            self._read_on_body(self._body)

    def unanswered(self) -> None:
        """Counted here, as no route has answered."""
        self._connections.refusals.refuse(Door.SERVER, SSEBaseError.code, 500)

    def answered(self, exchange: Exchange) -> None:
        """The response is out: the connection ends, or waits for the next request, which may be here already."""
        if self._exchange is not exchange:
            return
        self._exchange = None
        self._state.total_requests += 1
        if not exchange.keep_alive:
            if self._deaf or self._buffer:
                self._linger()
            else:
                self._close()
            return
        self._connections.rest(self)
        self._phase, self._reused = Phase.HEAD, True
        self.deadline = self._connections.now() + self._connections.limits.keep_alive_seconds
        if self.read_paused:
            self._resume_reading()
        if self._buffer:
            kept = self._buffer
            self._hold(b"")
            self.data_received(kept)

    # Reading.

    def _read_head(self, data: bytes) -> None:
        limits, before = self._connections.limits, len(self._buffer)
        if before:
            data = self._buffer + data
        elif data[:1] in b"\r\n":
            data = data.lstrip(b"\r\n")  # before a request line, an empty line is nothing (RFC 9112, 2.2)
            if not data:
                return
        end = data.find(END, max(0, before - 3)) + len(END)
        if len(END) <= end <= limits.head_bytes:
            if before:
                self._hold(b"")
            self._begin(parse_head(data[:end], limits), data[end:] if len(data) > end else b"")
            return
        check_beginning(data, limits)
        if not before and self._reused:
            self.deadline = self._connections.now() + limits.head_seconds
        self._hold(data)
        if self._connections.buffered > limits.all_buffer_bytes and len(data) > limits.small_buffer_bytes:
            text = "Too many requests are on their way at once."
            raise HttpRefusalError(503, "too_many_connections", text, b"retry-after: 1\r\n")

    def _begin(self, head: Head, rest: bytes) -> None:
        """Starts the application on a request, whose body may be on its way."""
        self._connections.work(self)
        exchange = self._exchange = Exchange(self, head)
        body = self._body = RequestBody(head.length, self._connections.limits, self._connections.now())
        self._phase = Phase.BODY
        self._read_body(exchange, body, rest)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "server": self._server,
            "client": self._client,
            "scheme": "http",
            "root_path": "",
            "method": head.method,
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.headers,
            "extensions": {DIRECT: exchange},
        }
        task = self._loop.create_task(exchange.run(self._app, scope))
        self._state.tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        """The application has returned. Of its defects the client has heard as much as it should; the log has all."""
        self._state.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logging.getLogger("headgate.server").error("Exception in ASGI application", exc_info=error)

    def _read_body(self, exchange: Exchange, body: RequestBody, data: bytes) -> None:
        piece, rest = body.feed(data)
        exchange.add_body(piece, more=not body.done)
        if body.done:
            self._phase, self._body, self.deadline = Phase.ANSWER, None, NEVER
            if self.read_paused:
                self._resume_reading()
            if rest:
                self._keep(rest)
        elif body.interrupted:
            # Many small chunks: the rest of them after the others had their turn, and nothing is added meanwhile.
            self._backlog = True
            self._pause_reading()
            self._loop.call_soon(self._read_backlog)
        elif exchange.unread > self._connections.limits.buffer_bytes:
            self._pause_reading()
        else:
            self._read_on_body(body)

    def _read_backlog(self) -> None:
        self._backlog = False
        self.data_received(b"")

    def _read_on_body(self, body: RequestBody) -> None:
        now = self._connections.now()
        if self.read_paused:
            body.resume(now)
            self._resume_reading()
        self.deadline = body.deadline(now)

    def _keep(self, data: bytes) -> None:
        """What follows a request, until its response is out. Of more than a little, nothing is kept, and the connection
        ends with the response: the client sends it again on another. To stop reading would save it, but a transport
        that does not read is not told when its client leaves (R8)."""
        limits = self._connections.limits
        self._hold(self._buffer + data)
        size, full = len(self._buffer), self._connections.buffered > limits.all_buffer_bytes
        if self._exchange is not None and size > (limits.small_buffer_bytes if full else limits.buffer_bytes):
            self._exchange.keep_alive = False
            self._deaf = True
            self._hold(b"")

    def _hold(self, data: bytes) -> None:
        """Keeps these bytes, and no others."""
        self._connections.buffered += len(data) - len(self._buffer)
        self._buffer = data

    def _pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused, self.deadline = True, NEVER
            if self._body is not None:
                self._body.pause(self._connections.now())
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    # Ending.

    def look(self, now: float) -> None:
        """Ends what is over its time; `Connections` calls it, where there may be something."""
        limits = self._connections.limits
        if self.write_paused:
            unsent = self.transport.get_write_buffer_size()
            if unsent < self._unsent:
                self._unsent, self._unsent_at = unsent, now
            elif now >= self._unsent_at + limits.send_seconds:
                self.transport.abort()
                return
        if self.read_paused and self._exchange is not None and has_left(self.transport):
            self.transport.abort()
        elif self.deadline <= now:
            self._end_late(now)

    def _end_late(self, now: float) -> None:
        limits = self._connections.limits
        if self._phase is Phase.BODY or (self._phase is Phase.HEAD and self._buffer):
            self._refuse(HttpRefusalError(408, "request_timeout", "The request did not come in time."))
        elif self._phase is Phase.END:
            unsent = self.transport.get_write_buffer_size()
            if not 0 < unsent < self._unsent:
                self.transport.abort()
            self._unsent, self.deadline = unsent, now + limits.send_seconds
        else:
            self._close()

    def _refuse(self, refusal: HttpRefusalError) -> None:
        """Answers a request that goes no further. One that the application has begun to answer is cut."""
        self._connections.refusals.refuse(Door.SERVER, refusal.code, refusal.status)
        if self._exchange is not None and self._exchange.started:
            self.transport.abort()
            return
        self._part()
        text = refusal.text.encode()
        head = (STATUS_LINES[refusal.status], self.own_headers(), refusal.headers, len(text), text)
        self.transport.write(
            b"%b%b%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % head
        )
        self._linger()

    def _part(self) -> None:
        """Tells whoever works for this client that it has gone."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            with Wall(self._connections.defects, Where.CONNECTION):  # who leaves disturbs nobody (G1)
                exchange.disconnect()

    def _linger(self) -> None:
        """Closes our side, and reads and drops what comes for a while (G7): to close with input unread makes the kernel
        send a reset, which can destroy the answer on its way."""
        self._end(self._connections.limits.linger_seconds)
        self._resume_reading()
        self.transport.write_eof()

    def _close(self) -> None:
        self._end(self._connections.limits.send_seconds)
        self.transport.close()

    def _end(self, seconds: float) -> None:
        """Nothing is said any more; so many seconds are left for what is unsent, or comes in."""
        self._phase = Phase.END
        if self._buffer:
            self._hold(b"")
        self._unsent = self.transport.get_write_buffer_size()
        self.deadline = self._connections.now() + seconds
        self._connections.rest(self)

    def _drop(self, size: int) -> None:
        self._lingered += size
        if self._lingered > self._connections.limits.linger_bytes:
            self.transport.abort()
