"""How a connection is made, and what the client needs of one: redis-py's connection, without its retries."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, cast

from redis.asyncio.connection import AbstractConnection, Connection, UnixDomainSocketConnection, parse_url

from adapters.redis.sentinel import SCHEME, SentinelConnector, parse_address

CONNECT_SECONDS = 0.5
READ_BYTES = 64 << 10
OWN_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "protocol": 2,
        "decode_responses": False,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_read_size": READ_BYTES,
        "health_check_interval": 0,
        "retry": None,
        "retry_on_timeout": False,
        "driver_info": None,
        "client_name": "headgate",
    }
)
"""Deadlines, retries and decoding are the client's own: nothing in an address may bring redis-py's back."""


class RedisConnection(Protocol):
    """What is used of `redis.asyncio.connection.AbstractConnection`, with the types that it leaves out."""

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Whether it has a socket."""

    @abstractmethod
    async def connect(self) -> None:
        """Opens the socket, sends the credentials, selects the database."""

    @abstractmethod
    async def send_packed_command(self, command: bytes | Iterable[bytes], check_health: bool) -> None:
        """Writes. On any failure, cancellation included, it closes the socket."""

    @abstractmethod
    async def read_response(self, disable_decoding: bool) -> Any:
        """The next reply; raises errors among them. On any other failure, cancellation included, it closes."""

    @abstractmethod
    async def can_read(self) -> bool:
        """Whether there are bytes that nobody asked for, or the peer has closed. Does not wait."""

    @abstractmethod
    async def disconnect(self, nowait: bool) -> None:
        """Closes the socket."""


Connector = Callable[[], RedisConnection]
"""Makes a connection that is not yet connected."""


def connector(
    url: str | None = None, *, host: str = "localhost", port: int = 6379, db: int = 0, password: str | None = None
) -> Connector:
    """Connections to one server: by a `redis://`, `rediss://` (TLS) or `unix://` address, else by host and port.

    `redis+sentinel://[user:password@]host:port[,host:port…]/service-name[/db]`: connections to the primary that these
    sentinels name when they connect. The user, the password and the database are the primary's; the sentinels are asked
    without. Raises `ValueError` if the address is not one.
    """
    if url is not None and url.startswith(SCHEME):
        return cast("Connector", SentinelConnector(parse_address(url), OWN_OPTIONS))
    options: dict[str, Any] = {"host": host, "port": port, "db": db, "password": password}
    if url is not None:
        options = dict(parse_url(url))
    make: type[AbstractConnection] = options.pop("connection_class", Connection)
    if make is UnixDomainSocketConnection:
        options.pop("host", None)
    options |= OWN_OPTIONS
    options.pop("retry_on_error", None)
    options.pop("max_connections", None)
    return lambda: cast("RedisConnection", make(**options))


def abort(connection: RedisConnection) -> None:
    """Closes the socket now, with what is still unsent.

    redis-py only closes it gracefully: with unsent bytes in the buffer and a Redis that hangs, it would stay open until
    TCP gives up. fakeredis has no transport, or (from 2.41 on) one that cannot be aborted.
    """
    transport = getattr(getattr(connection, "_writer", None), "transport", None)
    drop = getattr(transport, "abort", None)
    if drop is not None:
        drop()
