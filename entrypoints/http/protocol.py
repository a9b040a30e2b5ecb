"""The HTTP protocol of the server: uvicorn's, with what a stream needs beside ASGI."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

DIRECT = "headgate.direct"
"""The ASGI extension under which a request has its `DirectWriter`."""


class DirectWriter:
    """Writes pieces of a response that ASGI has begun straight to the connection, and can drop it.

    ASGI's `send` costs a dictionary and five nested coroutines a piece; it can close a connection, which waits for what
    is unsent, and not abort it (S11).
    """

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    @property
    def ready(self) -> bool:
        """Whether a piece may be written now: the head is out, the client takes what it is sent, and is there."""
        cycle = self._cycle
        return bool(cycle.chunked_encoding) and not (
            cycle.flow.write_paused or cycle.disconnected or cycle.response_complete
        )

    def write(self, body: bytes) -> None:
        """One piece, not empty, as an HTTP chunk."""
        self._cycle.transport.write(b"%x\r\n%b\r\n" % (len(body), body))

    def abort(self) -> None:
        """Drops the connection, with what is unsent."""
        self._cycle.transport.abort()


class HeadgateProtocol(HttpToolsProtocol):
    """Gives each request its `DirectWriter`."""

    def on_headers_complete(self) -> None:
        """Begins a request."""
        self.scope["extensions"] = extensions = {}
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            extensions[DIRECT] = DirectWriter(self.cycle)
