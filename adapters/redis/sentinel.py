"""Connections to the primary that Redis Sentinel names, which after a failover is another server.

The protocol is that of "Guidelines for Redis clients with support for Redis Sentinel": at each connect the sentinels
are asked one after the other, and the server that they name is asked whether it is the primary. redis-py's own
connections for Sentinel have retries, and turn `READONLY` into a lost connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from redis.asyncio.connection import Connection

from adapters.redis.errors import VENDOR_ERRORS, RedisUnavailableError
from adapters.redis.resp import Reply, pack, server_facts
from domain.part import take_turns
from ports.defects import Defects, Where

SCHEME = "redis+sentinel://"
ASK_SECONDS = 0.1
"""What one sentinel gets for its answer, of the time that connecting may take."""
WATCH_SECONDS = 0.5
"""Between two looks at where the primary is."""


class SentinelAddress(NamedTuple):
    """What a `redis+sentinel://` address says; `options` are for the connections to the primary."""

    sentinels: list[tuple[str, int]]
    service: str
    options: dict[str, Any]


def parse_address(url: str) -> SentinelAddress:
    """`redis+sentinel://[user:password@]host:port[,host:port…]/service-name[/db]`. Raises `ValueError`."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = (unquote(one) or None for one in credentials.partition(":"))
    sentinels = [(one.hostname, one.port) for one in (urlsplit(f"//{host}") for host in hosts.split(","))]
    service, _, db = parts.path.removeprefix("/").partition("/")
    known = [(host, port) for host, port in sentinels if host and port]
    if not service or len(known) < len(sentinels):
        raise ValueError(f"not an address of the form {SCHEME}host:port[,host:port]/service-name[/db]")
    return SentinelAddress(
        known, unquote(service), {"username": username, "password": password, "db": int(db) if db else 0}
    )


class SentinelConnector:
    """Makes connections to the primary of one service. Of its sentinels, the one that answered last is asked first."""

    def __init__(self, address: SentinelAddress, options: Mapping[str, Any]) -> None:
        self._addresses = deque(address.sentinels)
        self._question = pack(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service))
        self._options = options
        self._primary_options = {**options, **address.options}
        self._named: tuple[str, int] | None = None
        self._moved: Callable[[], None] | None = None

    def __call__(self) -> "SentinelConnection":
        """A connection that is not yet connected."""
        return SentinelConnection(self, **self._primary_options)

    async def watch(self, moved: Callable[[], None], defects: Defects) -> None:
        """Tells when the sentinels name another primary. Runs until it is cancelled.

        Without this a client stays with the old primary, which takes writes, and loses them, until the sentinels have
        made a replica of it: ten seconds, where an operator asked for the failover.
        """
        self._moved = moved

        async def turn() -> None:
            await asyncio.sleep(WATCH_SECONDS)
            with suppress(RedisUnavailableError):  # no sentinel answers: the primary is where it was
                await self.primary()

        await take_turns(turn, Where.REDIS, defects)

    async def primary(self) -> tuple[str, int]:
        """Where they say the primary is. Raises `RedisUnavailableError` if none of them knows it."""
        for address in [*self._addresses]:
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    if known := await self._ask(*address):
                        self._name(known)
                        return known
            except VENDOR_ERRORS:
                pass  # it is not there, or not well: the next one may be
            if self._addresses[0] == address:
                self._addresses.rotate(-1)
        raise RedisUnavailableError("NO_PRIMARY")

    def _name(self, primary: tuple[str, int]) -> None:
        before, self._named = self._named, primary
        if before not in (None, primary) and self._moved is not None:
            self._moved()

    async def _ask(self, host: str, port: int) -> tuple[str, int] | None:
        connection = Connection(host=host, port=port, **self._options)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_packed_command(self._question, check_health=False)
            reply = await connection.read_response(disable_decoding=True)
        finally:
            await connection.disconnect(nowait=True)
        match reply:
            case [bytes() as primary, bytes() as at] if at.isdigit():
                return primary.decode(), int(at)
        return None  # it knows no service of that name, or is no sentinel


class SentinelConnection(Connection):
    """A connection to whatever server is the primary when it connects."""

    def __init__(self, sentinels: SentinelConnector, **options: Any) -> None:
        super().__init__(**options)
        self._sentinels = sentinels

    async def connect(self) -> None:
        """Connects to the primary. Raises `RedisUnavailableError` if the sentinels name none, or one that is none."""
        self.host, self.port = await self._sentinels.primary()
        await super().connect()  # type: ignore[no-untyped-call]
        await self.send_packed_command(pack(("HELLO",)), check_health=False)
        reply: Reply = await self.read_response(disable_decoding=True)
        if server_facts(reply).get(b"role") != b"master":
            raise RedisUnavailableError("NO_PRIMARY")
