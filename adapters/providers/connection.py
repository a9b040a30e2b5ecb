"""One HTTP/1.1 connection to a provider: writes a request, parses its response as the bytes arrive."""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from adapters.providers.content_coding import codings
from domain.errors import ProviderConnectionError, ProviderError, ProviderResponseError

MAX_HEAD_BYTES = 64 << 10
HIGH_WATER_BYTES = 256 << 10


class _UnwantedBytes(Exception):
    """Stops the parser; what is wrong is in the connection's `failure`."""


class Connection(asyncio.Protocol):
    """Carries one exchange at a time; whoever has it reads `body` and waits for more.

    The parser appends to `body` itself, in C: one read of the socket wakes the reader once, however many HTTP chunks
    it brought. Bounds: 64 KiB a head; above 256 KiB of unread body the socket is not read.
    """

    __slots__ = (
        "_drain_timer",
        "_drained",
        "_feed",
        "_framed",
        "_head_bytes",
        "_keep_alive",
        "_loop",
        "_lost",
        "_parser",
        "_paused",
        "_transport",
        "_unread",
        "_waiter",
        "alive",
        "body",
        "cause",
        "closed",
        "complete",
        "failure",
        "head_complete",
        "headers",
        "on_body",
        "status",
    )

    def __init__(self, lost: Callable[["Connection"], None], drained: Callable[["Connection"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._drained = drained
        self.closed = self._loop.create_future()
        self.body: list[bytes] = []
        self.on_body = self.body.append
        self.status = 0
        self.headers: dict[str, str] = {}
        self.head_complete = False
        self.complete = True
        """The response is whole, or there has been none yet."""
        self.failure: tuple[type[ProviderError], str] | None = None
        self.cause: Exception | None = None
        self._keep_alive = False
        self._framed = False
        self._unread = 0
        self._head_bytes = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._feed: Callable[[bytes], bool] | None = None
        self.alive: Callable[[], None] | None = None
        """Told of bytes that nobody takes in the moment in which they come: a head, or a part of what is framed."""
        self._drain_timer: asyncio.TimerHandle | None = None

    @property
    def answered(self) -> bool:
        """Whether any byte has come back for the request; of use until `take`."""
        return self._unread > 0

    @property
    def reusable(self) -> bool:
        """Whether another request may follow on this connection."""
        return self.complete and self._keep_alive and not self._paused and not self._transport.is_closing()

    def begin(self, request: bytes) -> None:
        """Sends a request, or its beginning; the state is that of its response from here on."""
        self.body.clear()
        self.headers = {}
        self.head_complete = self.complete = self._keep_alive = False
        self._unread = self._head_bytes = 0
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)

    def send(self, more: bytes) -> None:
        """Sends more of the request."""
        self._transport.write(more)

    def wait(self) -> asyncio.Future[None]:
        """Done when something has changed. One waits at a time; cancelling it does no harm."""
        self._waiter = self._loop.create_future()
        return self._waiter

    async def pour(self, feed: Callable[[bytes], bool]) -> bool:
        """Hands more of the body to `feed`, in the moment in which it arrives; False once `feed` wants no more of it.

        True at the end of the body and after a failure, if there is still something to take. Raises what `feed` does.
        """
        self._feed = feed
        try:
            await self.wait()
        finally:
            wanted, self._feed = self._feed is not None, None
        return wanted

    def take(self) -> bytes:
        """All of the body that is here, and makes room for more."""
        data = b"".join(self.body)
        self.body.clear()
        self._unread = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def drain(self, seconds: float) -> None:
        """The body's end is due and nothing else: calls `drained` when it comes, hangs up if it does not."""
        self._drain_timer = self._loop.call_later(seconds, self.abort)

    def abort(self) -> None:
        """Hangs up at once."""
        self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The way out is there. Both event loops set TCP_NODELAY themselves."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only

    def data_received(self, data: bytes) -> None:
        """Bytes from the provider; none are due between two exchanges. The path of each event."""
        undue = self.complete
        if undue:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ProviderResponseError, "The provider's answer is not HTTP.", error)
        feed, body = self._feed, self.body
        if feed is None or not body:
            self._keep(len(data))
            return
        piece = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        try:
            if feed(piece):
                if self.complete or self.failure is not None:
                    self._wake()
                return
            self._feed = None
        except Exception as error:  # noqa: BLE001 - it is raised where the body is waited for
            self._feed = None
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(error)
        self._wake()

    def _keep(self, count: int) -> None:
        """So many bytes are for nobody yet: within bounds they wait, and who waits for them is told."""
        self._unread += count
        if self.alive is not None:
            self.alive()
        if not self.head_complete and self._unread > MAX_HEAD_BYTES:
            self._fail(ProviderResponseError, "The head of the provider's answer is too large.")
        if self._unread > HIGH_WATER_BYTES and self.body and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if self._drain_timer is not None:
            self._check_drained()
        self._wake()

    def eof_received(self) -> None:
        """The provider says no more; the transport closes itself."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The last call."""
        self._end(exc)
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        self.closed.set_result(None)
        self._lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A second response to one request is not for us."""
        if self.complete:
            self._refuse("The provider sent more than its answer.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is counted and dropped."""
        self._head_bytes += len(name) + len(value) + 4  # with the colon, the space and the line's end
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse("The head of the provider's answer is too large.")
        if not self.head_complete:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        """The head is here."""
        status = self._parser.get_status_code()
        if status < 200:  # an interim answer (RFC 9110, section 15.2): the real one follows
            self.headers = {}
            return
        if codings(self.headers.get("content-encoding", "")) is None:
            self._refuse("The provider compressed its answer in a way that is not read.")
        transfer = self.headers.get("transfer-encoding", "").strip().lower()
        if transfer not in ("", "chunked"):
            self._refuse("The provider's answer has a transfer coding that was not asked for.")
        self._framed = bool(transfer) or "content-length" in self.headers
        self.status = status
        self.head_complete = True

    def on_message_complete(self) -> None:
        """The body is whole."""
        if self.head_complete:
            self.complete = True
            self._keep_alive = self._parser.should_keep_alive()

    def _refuse(self, message: str) -> None:
        self._fail(ProviderResponseError, message)
        raise _UnwantedBytes

    def _fail(self, kind: type[ProviderError], message: str, cause: Exception | None = None) -> None:
        """Notes the first failure and hangs up."""
        if self.failure is None:
            self.failure, self.cause = (kind, message), cause
        self.abort()

    def _end(self, cause: Exception | None) -> None:
        """No more bytes will come: the end of a body that has no other end, else a cut."""
        if not self.complete and self.failure is None:
            if self.head_complete and not self._framed and cause is None:
                self.complete = True
            else:
                self.failure = (ProviderConnectionError, "The provider closed the connection before its answer ended.")
                self.cause = cause
        self._wake()

    def _check_drained(self) -> None:
        if self.complete and self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
            self._drained(self)
        elif self.body:
            self.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
