"""One request and its response: what ASGI is given, and a way past ASGI for what is written most."""

import asyncio
import http
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from starlette.types import Message, Receive, Scope, Send

from entrypoints.http.server.head import Head

DIRECT = "headgate.direct"
"""The ASGI extension under which a request has its `Exchange`."""
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[Any]]
_PHRASES = {status.value: status.phrase.encode() for status in http.HTTPStatus}
STATUS_LINES = {number: b"HTTP/1.1 %d %b\r\n" % (number, _PHRASES.get(number, b"")) for number in range(100, 600)}
DEFECT = b"Internal Server Error"
DEFECT_HEADERS = ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(DEFECT)))
LENGTH, CHUNKS, UNTIL_CLOSE = 1, 2, 3
"""How the end of a body is told: by its length, by a last chunk, or, to HTTP/1.0, by the end of the connection."""


class Link(Protocol):
    """What an exchange needs of its connection."""

    __slots__ = ()
    transport: asyncio.Transport
    write_paused: bool

    @abstractmethod
    async def drained(self) -> None:
        """Returns once the client takes more, or has gone."""

    @abstractmethod
    def own_headers(self) -> bytes:
        """Header lines of the server's own."""

    @abstractmethod
    def drop_body(self) -> None:
        """Reads the rest of the body, if any, and drops it."""

    @abstractmethod
    def want_body(self) -> None:
        """Goes on reading the body."""

    @abstractmethod
    def body_read(self) -> bool:
        """Whether the whole body has come: the connection can only then be kept for another request."""

    @abstractmethod
    def unanswered(self) -> None:
        """The application has ended without a response, and the client is told so."""

    @abstractmethod
    def answered(self, exchange: "Exchange") -> None:
        """The response is complete."""


class Exchange:
    """ASGI's `receive` and `send` of one request; and, for a response that is written past ASGI, its head, its pieces
    and its end.

    ASGI's `send` costs a dictionary and several nested coroutines a piece, and it can close a connection, which waits
    for what is unsent, but not abort it (S11).
    """

    __slots__ = (
        "_body", "_complete", "_expects_continue", "_framing", "_given", "_head_only", "_held", "_left", "_link",
        "_more", "_out", "_transport", "_version", "_waiter", "gone", "keep_alive", "lost", "started",
    )  # fmt: skip

    def __init__(self, link: Link, head: Head) -> None:
        self._link = link
        self._transport = link.transport
        self._out: Callable[[bytes], None] = link.transport.write
        self._held: list[bytes] | None = None
        self._body: bytes | bytearray = b""
        self._more = True
        self._given = False
        self._waiter: asyncio.Future[None] | None = None
        self._expects_continue = head.expects_continue
        self._head_only = head.method == "HEAD"
        self._version = head.version
        self._framing = 0
        self._left = 0
        self.started = False
        """Whether the head of the response is out, or held back."""
        self._complete = False
        self.keep_alive = head.keep_alive
        self.lost = False
        """Whether the client has left before the response was complete."""
        self.gone: Callable[[], None] | None = None
        """Told when that happens."""

    # The request's body, from the connection to ASGI.

    def add_body(self, data: bytes, *, more: bool) -> None:
        """Takes the next piece of the body."""
        if not self._body:
            self._body = data
        elif data:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += data
        self._more = more
        if self._waiter is not None:
            self._wake()

    @property
    def unread(self) -> int:
        """Bytes of the body that nobody has asked for yet."""
        return len(self._body)

    def take_body(self) -> bytes | None:
        """The body, if all of it is here and none of it was taken: without a turn of the event loop."""
        if self._more or self._given or self.lost:
            return None
        body, self._body, self._given = bytes(self._body), b"", True
        return body

    async def receive(self) -> Message:
        """ASGI's: the next piece of the body; after the last one, that the client has gone or the response is out."""
        while not (self.lost or self._complete or self._body or (not self._more and not self._given)):
            if self._more:
                if self._expects_continue:
                    self._expects_continue = False
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._link.want_body()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.lost or self._complete:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), b""
        self._given = not self._more
        return {"type": "http.request", "body": body, "more_body": self._more}

    def disconnect(self) -> None:
        """The connection is lost: whoever waits is woken, and `gone` is called."""
        if self._complete:
            return
        self.lost = True
        self._wake()
        if self.gone is not None:
            self.gone()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The response through ASGI.

    async def send(self, message: Message) -> None:
        """ASGI's: the head of the response, or a piece of its body."""
        if self._link.write_paused and not self.lost:
            self.uncork()
            await self._link.drained()
        if self.lost:
            return
        if message["type"] == "http.response.start" and not self.started:
            self._start(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and self.started and not self._complete:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{message['type']} is out of turn")

    def _start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        lines = self._take_lines(headers)
        at = lines.find(b"content-length: ")
        ending = b""
        if at == 0 or lines[at - 2 : at] == b"\r\n":
            self._left = int(lines[at + 16 : lines.find(b"\r\n", at)])
            self._framing = LENGTH
        elif status in {204, 304} or self._head_only:
            self._framing = LENGTH
        else:
            ending = self._frame_body()
        if self._head_only:
            self._left = 0
        self.started, self._expects_continue = True, False
        whole = (STATUS_LINES[status], self._link.own_headers(), lines, ending, self._close_line())
        self._out(b"%b%b%b%b%b\r\n" % whole)

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self._head_only:
            body = b""
        if self._framing == LENGTH:
            if len(body) > self._left or (not more and len(body) < self._left):
                raise RuntimeError("the body is not as long as its Content-Length")
            self._left -= len(body)
            self._out(body)
        elif body:
            self._out(b"%x\r\n%b\r\n" % (len(body), body) if self._framing == CHUNKS else body)
        if not more:
            if self._framing == CHUNKS:
                self._out(b"0\r\n\r\n")
            self._end()

    async def run(self, app: Application, scope: Scope) -> None:
        """Has the application answer. Whatever it does, the client is not left waiting: a response that has begun is
        cut, so that nobody takes it for whole."""
        try:
            await app(scope, self.receive, self.send)
        finally:
            self.uncork()
            if not self._complete and not self.lost:
                self.keep_alive = False
                self._link.unanswered()
                if not self.respond(500, DEFECT_HEADERS, DEFECT):
                    self._transport.close()

    # The response past ASGI.

    def cork(self) -> None:
        """Holds back what is written, until `uncork`: a head, a body and its end then leave in one write."""
        self._held = []
        self._out = self._held.append

    def uncork(self) -> None:
        """Writes what was held back, and holds back nothing any more; idempotent."""
        held, self._held = self._held, None
        if held is not None:
            self._out = self._transport.write
            if held and not self.lost:
                self._transport.write(b"".join(held))

    def begin(self, headers: Mapping[str, str], more: bytes) -> bool:
        """The head of a 200 whose body has no stated length: these headers, and `more` lines of them. False, and
        nothing was written, where nothing can be written now. Raises `RuntimeError` for a header with a line end."""
        if not self._can_begin() or self._head_only:
            return False
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if not lines.count("\r") == lines.count("\n") == len(headers):
            raise RuntimeError("a header with a line end in it")
        ending = self._frame_body()
        self.started, self._expects_continue = True, False
        whole = (self._link.own_headers(), lines.encode("latin-1"), more, ending, self._close_line())
        self._out(b"HTTP/1.1 200 OK\r\n%b%b%b%b%b\r\n" % whole)
        return True

    def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """A whole response; its length is among the headers. False, and nothing was written, where nothing can be
        written now. Raises `RuntimeError` for a header with a line end."""
        if not self._can_begin():
            return False
        lines = self._take_lines(headers)
        self.started, self._expects_continue = True, False
        whole = (
            STATUS_LINES[status],
            self._link.own_headers(),
            lines,
            self._close_line(),
            b"" if self._head_only else body,
        )
        self._out(b"%b%b%b%b\r\n%b" % whole)
        self._end()
        return True

    def write(self, body: bytes) -> bool:
        """One piece of a body that `begin` has begun. False, and nothing was written, unless the client is there and
        takes what it is sent. The path of each event."""
        if self._link.write_paused or self.lost or self._complete or self._framing < CHUNKS:
            return False
        if body:  # an empty chunk would be the end
            self._out(b"%x\r\n%b\r\n" % (len(body), body) if self._framing == CHUNKS else body)
        return True

    def finish(self) -> bool:
        """The end of the body. False, and nothing was written, where nothing can be written now."""
        if not self.write(b""):
            return False
        if self._framing == CHUNKS:
            self._out(b"0\r\n\r\n")
        self._end()
        return True

    def abort(self) -> None:
        """Drops the connection, with what is unsent."""
        self._transport.abort()

    def _can_begin(self) -> bool:
        return not (self.started or self.lost or self._link.write_paused)

    def _frame_body(self) -> bytes:
        if self._version == "1.0":
            self._framing, self.keep_alive = UNTIL_CLOSE, False
            return b""
        self._framing = CHUNKS
        return b"transfer-encoding: chunked\r\n"

    def _take_lines(self, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """The header lines. Whether the connection is kept is the server's to say, and to heed: once."""
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        if not lines.count(b"\r") == lines.count(b"\n") == len(headers) or b"\0" in lines:
            raise RuntimeError("a header with a line end in it")
        if b"connection: " in lines:
            options = [value.lower() for name, value in headers if name == b"connection"]
            if options:
                self.keep_alive = self.keep_alive and b"close" not in options
                return self._take_lines([header for header in headers if header[0] != b"connection"])
        return lines

    def _close_line(self) -> bytes:
        """The one that says that the connection ends, where it does: also if the body has not been read, since what
        is left of it would be taken for the next request."""
        if not self._link.body_read():
            self.keep_alive, self._body = False, b""
            self._link.drop_body()
        return b"" if self.keep_alive else b"connection: close\r\n"

    def _end(self) -> None:
        self._complete = True
        if self._held is not None:
            self.uncork()
        if self._waiter is not None:
            self._wake()
        self._link.answered(self)
