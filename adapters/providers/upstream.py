"""The HTTP client of the providers: POST over pooled HTTP/1.1 connections, the body as it arrives."""

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from adapters.providers.attempt import Attempt
from adapters.providers.connection import Connection
from adapters.providers.content_coding import Unpacker, codings
from domain.errors import (
    ConfigurationError,
    NoConnectionLeftError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
)

# How long the end of a body may take once its last event is here; after it the connection is not kept.
DRAIN_SECONDS = 1.0
CLOSE_SECONDS = 1.0
STEP_BYTES = 256 << 10
"""Of a large request, that are handed to the connection at once."""


class Upstream:
    """One provider's address and the idle connections to it.

    The address comes from here and nowhere else (P3): no redirect is followed, no proxy is read from the environment.
    Raises `ConfigurationError` for an address or a header that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        connect_timeout: float = 5.0,
        max_idle_connections: int = 512,
        idle_seconds: float = 30.0,
    ) -> None:
        self._secure, self._host, self._port, authority, self._prefix = _split(base_url)
        self._head = _head(authority, headers)
        self._connect_timeout = connect_timeout
        self._max_idle = max_idle_connections
        self._idle_seconds = idle_seconds
        self._ssl: ssl.SSLContext | None = None
        self._idle: dict[Connection, float] = {}  # since when; the oldest first
        self._draining: set[Connection] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._closed = False

    def post(self, path: str, body: bytes, attempt: Attempt) -> "UpstreamResponse":
        """One request, sent when its context is entered. `path` follows the base URL's own."""
        line = f"POST {self._prefix}{path} HTTP/1.1\r\n".encode()
        return UpstreamResponse(self, b"%b%b%d\r\n\r\n%b" % (line, self._head, len(body), body), attempt)

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    def take_idle(self) -> Connection | None:
        """The connection that was used last, or None: it is the least likely to have been closed meanwhile."""
        return self._idle.popitem()[0] if self._idle else None

    async def connect(self, attempt: Attempt) -> Connection:
        """A new connection. Raises `ProviderConnectionError`, `NoConnectionLeftError` if it is this process that can
        have none; `ProviderTimeoutError` if there is no answer."""
        if self._secure and self._ssl is None:
            self._ssl = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._forget, self._drained), self._host, self._port, ssl=self._ssl
                )
        except TimeoutError as error:  # as silent as a provider that takes a request and never answers (R1)
            raise attempt.error(
                ProviderTimeoutError, "The provider could not be reached in time.", phase="connect"
            ) from error
        except (OSError, UnicodeError) as error:  # refused, unreachable, no such name, TLS
            if not _descriptors_left():
                raise attempt.error(
                    NoConnectionLeftError, "There is no file descriptor left for a connection.", retry_after=1.0
                ) from error
            raise attempt.error(
                ProviderConnectionError, "The provider could not be reached.", cause=type(error).__name__
            ) from error
        return connection

    def release(self, connection: Connection) -> None:
        """Keeps a connection for the next request, if it can carry one."""
        if self._closed or not connection.reusable:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        if len(self._idle) >= self._max_idle:
            self._abort_idle(next(iter(self._idle)))
        self._idle[connection] = loop.time()
        if self._expiry is None:
            self._expiry = loop.call_later(self._idle_seconds, self._expire)

    def drain(self, connection: Connection) -> None:
        """Keeps a connection once the end of its body has come, which is all that is missing."""
        self._draining.add(connection)
        connection.drain(DRAIN_SECONDS)

    async def aclose(self) -> None:
        """Closes the connections that nobody uses; idempotent. Those in use close with their contexts."""
        self._closed = True
        if self._expiry is not None:
            self._expiry.cancel()
        connections = [*self._idle, *self._draining]
        for connection in connections:
            connection.abort()
        if connections:
            await asyncio.wait([connection.closed for connection in connections], timeout=CLOSE_SECONDS)

    def _drained(self, connection: Connection) -> None:
        self._draining.discard(connection)
        self.release(connection)

    def _forget(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        self._draining.discard(connection)

    def _abort_idle(self, connection: Connection) -> None:
        del self._idle[connection]
        connection.abort()

    def _expire(self) -> None:
        """Hangs up what has been idle for too long. One timer for all, and none while nothing is idle."""
        self._expiry = None
        loop = asyncio.get_running_loop()
        limit = loop.time() - self._idle_seconds
        for connection, since in list(self._idle.items()):
            if since > limit:
                self._expiry = loop.call_later(since - limit, self._expire)
                break
            self._abort_idle(connection)


class UpstreamResponse:
    """A response whose body is read as it arrives. Leaving the context before its end hangs up at once (S7, R8)."""

    __slots__ = ("_attempt", "_connection", "_finished", "_pieces", "_request", "_unpacker", "_upstream")

    def __init__(self, upstream: Upstream, request: bytes, attempt: Attempt) -> None:
        self._upstream = upstream
        self._request = request
        self._attempt = attempt
        self._finished = False
        self._unpacker: Unpacker | None = None
        self._pieces: Iterator[bytes] | None = None
        """What is being unpacked."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._connection.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by lower-case name; repeated ones are joined by a comma."""
        return self._connection.headers

    async def read(self) -> bytes:
        """All of the body that has arrived since the last read, waiting for some; b"" at its end.

        Raises `ProviderConnectionError` if the connection ends before the body does, and `ProviderResponseError` for
        what is not HTTP. A cancelled read loses nothing.
        """
        connection = self._connection
        while True:
            if self._pieces is not None:
                piece = next(self._pieces, b"")
                if piece:
                    return piece
                self._pieces = None
            while not connection.body:
                if connection.complete:
                    self._end()
                    return b""
                if connection.failure is not None:
                    raise self._failure(connection) from connection.cause
                await connection.wait()
            if self._unpacker is None:
                return connection.take()
            self._pieces = self._unpacker.pieces(connection.take())

    async def pour(self, feed: Callable[[bytes], bool]) -> None:
        """Hands the body to `feed` as it arrives, to its end or until `feed` wants no more. Raises as `read` does, and
        what `feed` raises."""
        connection = self._connection
        if self._unpacker is not None:
            feed = self._unpacker.feeding(feed)
        while True:
            if connection.body:
                if not feed(connection.take()):
                    return
            elif connection.complete:
                self._end()
                return
            elif connection.failure is not None:
                raise self._failure(connection) from connection.cause
            elif not await connection.pour(feed):
                return

    def finish(self) -> None:
        """Nothing more is wanted of the body, whose end is due: if it comes soon the connection is kept."""
        self._finished = True

    async def __aenter__(self) -> Self:
        """Sends the request and waits for the head. Raises as `connect` does, and `ProviderResponseError`."""
        connection = self._upstream.take_idle()
        if connection is not None and await self._exchange(connection, idle=True):
            return self
        await self._exchange(await self._upstream.connect(self._attempt), idle=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        if connection.complete:
            self._upstream.release(connection)
        elif self._finished and connection.failure is None and not connection.body:
            self._upstream.drain(connection)
        else:
            connection.abort()

    async def _exchange(self, connection: Connection, *, idle: bool) -> bool:
        """Sends the request and waits for the head of its answer.

        False if an idle connection turned out to be closed: no byte came back, so that the request was not taken up
        and another connection may carry it (as curl and browsers do; RFC 9112, section 9.3.1).
        """
        self._connection = connection
        request = self._request
        connection.begin(request[:STEP_BYTES])
        try:
            for start in range(STEP_BYTES, len(request), STEP_BYTES):
                await asyncio.sleep(0)  # to encrypt 16 MiB takes 50 ms, and others have their turn in between (G6)
                if connection.failure is None:
                    connection.send(request[start : start + STEP_BYTES])
            while not connection.head_complete and connection.failure is None:
                await connection.wait()
        except BaseException:
            connection.abort()
            raise
        if connection.head_complete:
            self._request = b""  # it may be large, and the answer long
            names = codings(connection.headers.get("content-encoding", ""))
            self._unpacker = Unpacker(names, self._attempt) if names else None
            return True
        if idle and not connection.answered:
            return False
        raise self._failure(connection) from connection.cause

    def _end(self) -> None:
        if self._unpacker is not None:
            self._unpacker.end()

    def _failure(self, connection: Connection) -> ProviderError:
        kind, message = connection.failure or (ProviderConnectionError, "The connection ended.")
        return self._attempt.error(kind, message)


def _descriptors_left() -> bool:
    """Whether this process may open anything. An error does not say: that of a look-up of a name has no such number."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True


def _split(base_url: str) -> tuple[bool, str, int, str, str]:
    """Whether TLS is used, host, port, what the Host header says, and the path in front of every other."""
    try:
        url = urlsplit(base_url)
        port = url.port
    except ValueError as error:
        raise ConfigurationError("base_url is not a URL.") from error
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigurationError("base_url must begin with http:// or https:// and a host.")
    if url.username is not None or url.query or url.fragment:
        raise ConfigurationError("base_url takes no user, query or fragment; keys have their own setting.")
    if not base_url.isascii() or any(character <= " " for character in base_url):
        raise ConfigurationError("base_url must be plain ASCII without spaces.")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    secure = url.scheme == "https"
    default = 443 if secure else 80
    port = port or default
    return secure, url.hostname, port, host if port == default else f"{host}:{port}", url.path.rstrip("/")


def _head(authority: str, headers: Mapping[str, str]) -> bytes:
    """All of a request's head between the request line and the length of its body."""
    fields = {"Host": authority, "Accept-Encoding": "identity", **headers}
    for name, value in fields.items():
        if not value.isascii() or not value.isprintable():
            raise ConfigurationError(f"The header {name} to the provider must be one line of plain ASCII.")
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{lines}Content-Length: ".encode()
