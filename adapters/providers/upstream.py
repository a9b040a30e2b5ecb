"""The HTTP client of the providers: requests over pooled HTTP/1.1 connections, the body as it arrives."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode, urlsplit

from adapters.providers.attempt import Attempt
from adapters.providers.connection import Connection
from adapters.providers.content_coding import Unpacker, codings
from adapters.providers.network import DIRECT, Network, checked
from adapters.providers.tunnel import TunnelRefusedError, connect_through
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

    The address comes from here and nowhere else (P3): no redirect is followed, and the environment is not read.
    `network` says what else goes with each request, and what way it takes. Raises `ConfigurationError` for an address,
    a header or a file of certificates that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        network: Network = DIRECT,
        *,
        connect_timeout: float = 5.0,
        max_idle_connections: int = 512,
        idle_seconds: float = 30.0,
    ) -> None:
        self._secure, self._host, self._port, authority, self._prefix = _split(base_url)
        self._network = network
        self._query = urlencode(network.query, quote_via=quote, safe="")
        through = network.proxy if not self._secure else None
        self._origin = f"http://{authority}" if through else ""
        self._head = _head(authority, headers, network.headers, through.authorization if through else None)
        self._connect_timeout = connect_timeout
        self._max_idle = max_idle_connections
        self._idle_seconds = idle_seconds
        # The system's certificates are loaded when they are needed, a file of our own while it can be complained about.
        self._ssl = network.tls() if network.ca_file or not network.verify else None
        self._idle: dict[Connection, float] = {}  # since when; the oldest first
        self._draining: set[Connection] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._closed = False

    def post(self, path: str, body: bytes, attempt: Attempt) -> "UpstreamResponse":
        """One request, sent when its context is entered. `path` follows the base URL's own."""
        head = b"%bContent-Length: %d\r\n\r\n" % (self._head, len(body))
        return UpstreamResponse(self, b"POST %b HTTP/1.1\r\n%b%b" % (self._target(path), head, body), attempt)

    def get(self, path: str, attempt: Attempt) -> "UpstreamResponse":
        """The same without a body."""
        return UpstreamResponse(self, b"GET %b HTTP/1.1\r\n%b\r\n" % (self._target(path), self._head), attempt)

    def _target(self, path: str) -> bytes:
        """What stands behind the method: of a proxy that is no tunnel the whole address is asked (RFC 9112, 3.2.2)."""
        query = f"{'&' if '?' in path else '?'}{self._query}" if self._query else ""
        return f"{self._origin}{self._prefix}{path}{query}".encode()

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
        try:
            async with asyncio.timeout(self._connect_timeout):
                connection = await self._connect()
        except TimeoutError as error:  # as silent as a provider that takes a request and never answers (R1)
            raise attempt.error(
                ProviderTimeoutError, "The provider could not be reached in time.", phase="connect"
            ) from error
        except TunnelRefusedError as error:
            raise attempt.error(
                ProviderConnectionError,
                "The proxy to the provider opened no way to it.",
                cause=type(error).__name__,
                proxy_status=error.status,
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

    async def _connect(self) -> Connection:
        """A connection to the host, or to the proxy before it."""
        proxy = self._network.proxy
        if self._ssl is None and (self._secure or (proxy is not None and proxy.secure)):
            self._ssl = self._network.tls()
        if proxy is not None and self._secure:
            assert self._ssl is not None  # noqa: S101 - for the type checker
            return await connect_through(proxy, self._host, self._port, self._ssl, self._make)
        host, port, secure = (
            (self._host, self._port, self._secure) if proxy is None else (proxy.host, proxy.port, proxy.secure)
        )
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(self._make, host, port, ssl=self._ssl if secure else None)
        return connection

    def _make(self) -> Connection:
        return Connection(self._forget, self._drained)

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

    __slots__ = ("_alive", "_attempt", "_connection", "_finished", "_pieces", "_request", "_unpacker", "_upstream")

    def __init__(self, upstream: Upstream, request: bytes, attempt: Attempt) -> None:
        self._upstream = upstream
        self._request = request
        self._attempt = attempt
        self._finished = False
        self._alive: Callable[[], None] | None = None
        self._unpacker: Unpacker | None = None
        self._pieces: Iterator[bytes] | None = None
        """What is being unpacked."""

    def on_life(self, alive: Callable[[], None]) -> None:
        """Has `alive` called with bytes that come before the body, or in the middle of it and are none of it."""
        self._alive = alive

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
        connection.alive = None
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
        connection.alive = self._alive
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


def _head(authority: str, own: Mapping[str, str], more: Mapping[str, str], proxy_user: str | None) -> bytes:
    """The headers of each request, but for the length of its body."""
    fields = {"Host": authority, **checked({"Accept-Encoding": "identity", **own}, more)}
    if proxy_user is not None:
        fields["Proxy-Authorization"] = proxy_user
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
