"""The HTTP protocol of the server: uvicorn's, with what a stream needs beside ASGI."""

import asyncio
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

DIRECT = "headgate.direct"
"""The ASGI extension under which a request has its `DirectWriter`."""
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
CLOSE = b"connection: close\r\n"


class Cork:
    """Stands in for the transport of a response whose pieces come in one moment: its head, a body, its end. They then
    go to the kernel in one call instead of three."""

    __slots__ = ("_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Holds it back."""
        self._held.append(data)

    def is_closing(self) -> bool:
        """As the transport says."""
        return self._transport.is_closing()

    def close(self) -> None:
        """After what is held back."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Writes what is held back."""
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()


class DirectWriter:
    """Writes pieces of a response that ASGI has begun straight to the connection, and can drop it.

    ASGI's `send` costs a dictionary and five nested coroutines a piece, and looks at each header with two regular
    expressions; it can close a connection, which waits for what is unsent, and not abort it (S11). What is done here
    for a head and an end, with the cycle's own attributes, is what uvicorn's `send` does; where there is more to do
    (`access_log`, HEAD, a client that does not take what it is sent), it is left to that.
    """

    __slots__ = ("_cork", "_cycle", "_transport", "gone")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        # The request's scope, which the cycle holds, holds this: with a strong reference the garbage collector would
        # have to find every request.
        self._cycle = weakref.ref(cycle)
        self._transport = cycle.transport
        self.gone: Callable[[], None] | None = None
        """Told when the client leaves before the response is complete."""
        self._cork: Cork | None = None

    def cork(self) -> None:
        """Holds back what is written through ASGI, until `uncork`. For responses that are there as a whole."""
        cycle = self._cycle()
        if cycle is not None:
            self._cork = Cork(self._transport)
            cycle.transport = cast("asyncio.Transport", self._cork)

    def uncork(self) -> None:
        """Writes it, and holds back nothing any more; idempotent."""
        cork, cycle = self._cork, self._cycle()
        if cork is not None and cycle is not None:
            self._cork = None
            cycle.transport = self._transport
            cork.flush()

    @property
    def lost(self) -> bool:
        """Whether the client has left already."""
        cycle = self._cycle()
        return cycle is None or cycle.disconnected

    def begin(self, headers: Mapping[str, str], more: bytes) -> bool:
        """The head of a 200 whose body comes in chunks: these headers, and `more` lines of them. False, and nothing was
        written, if ASGI has to do it. Raises `RuntimeError` for a header with a line end in it."""
        cycle = self._unbegun()
        if cycle is None:
            return False
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if not lines.count("\r") == lines.count("\n") == len(headers):
            raise RuntimeError("a header with a line end in it")
        cycle.response_started = cycle.chunked_encoding = True
        cycle.waiting_for_100_continue = False
        last = CHUNKED if cycle.keep_alive else CLOSE + CHUNKED
        own = _lines(cycle.default_headers)
        cycle.transport.write(b"HTTP/1.1 200 OK\r\n%b%b%b%b" % (own, lines.encode("latin-1"), more, last))
        return True

    def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """A whole response. False, and nothing was written, if ASGI has to do it: it has a say in the connection, in
        bodies of no stated length, and in headers with a line end in them."""
        cycle, lines = self._unbegun(), _lines(headers)
        if cycle is None or not lines.count(b"\r") == lines.count(b"\n") == len(headers):
            return False
        if b"content-length: %d\r\n" % len(body) not in lines or b"connection: " in lines:
            return False
        cycle.response_started, cycle.chunked_encoding = True, False
        cycle.waiting_for_100_continue = False
        last = b"\r\n" if cycle.keep_alive else CLOSE + b"\r\n"
        own = _lines(cycle.default_headers)
        cycle.transport.write(b"%b%b%b%b%b" % (STATUS_LINE[status], own, lines, last, body))
        self._complete(cycle)
        return True

    def _unbegun(self) -> RequestResponseCycle | None:
        """The cycle, if a response can begin here."""
        cycle = self._cycle()
        if (
            cycle is None
            or cycle.response_started
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.access_log
            or cycle.scope["method"] == "HEAD"
        ):
            return None
        return cycle

    def finish(self) -> bool:
        """The end of the body. False, and nothing was written, if ASGI has to do it."""
        cycle = self._cycle()
        if cycle is None or not self.write(b""):
            return False
        cycle.transport.write(b"0\r\n\r\n")
        self._complete(cycle)
        return True

    @staticmethod
    def _complete(cycle: RequestResponseCycle) -> None:
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    def write(self, body: bytes) -> bool:
        """One piece as an HTTP chunk. False, and nothing was written, unless the head is out, the client takes what it
        is sent, and is there."""
        cycle = self._cycle()
        if (
            cycle is None
            or not cycle.chunked_encoding
            or cycle.flow.write_paused
            or cycle.disconnected
            or cycle.response_complete
        ):
            return False
        if body:  # an empty chunk would be the end
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def abort(self) -> None:
        """Drops the connection, with what is unsent."""
        self._transport.abort()


class HeadgateProtocol(HttpToolsProtocol):
    """Gives each request its `DirectWriter`, which it tells when the connection is lost."""

    def on_headers_complete(self) -> None:
        """Begins a request."""
        self.scope["extensions"] = extensions = {}
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            extensions[DIRECT] = DirectWriter(self.cycle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Also tells the response that is being written; uvicorn tells whoever listens in a task of its own."""
        super().connection_lost(exc)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and cycle.disconnected:
            direct = cast("DirectWriter", cycle.scope.get("extensions", {}).get(DIRECT))
            if direct.gone is not None:
                direct.gone()


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
