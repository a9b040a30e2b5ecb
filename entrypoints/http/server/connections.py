"""All connections of a process: how many there may be, which goes when there are too many, and their deadlines."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, cast

from uvicorn import Config
from uvicorn.server import ServerState

from domain.services.sweeper import Sweeper
from entrypoints.http.client_address import Network, is_within, neighbourhood
from entrypoints.http.server.exchange import Application
from entrypoints.http.server.limits import ConnectionBounds, ConnectionLimits
from entrypoints.http.server.protocol import HttpProtocol
from entrypoints.http.server.registry import Registry
from ports.clock import Clock
from ports.defects import Defects
from ports.refusals import Refusals

LOOK_SECONDS = 0.5
"""Between two looks at the deadlines of all connections: no timer per connection, no alarm per request."""
ENDED_AT_ONCE = 500
"""Connections whose time is up that one look ends; the next look comes with the next turn of the sweeper."""
MAX_TURNED_AWAY = 32
"""Connections that were refused and are still told so. Of any more, the oldest is dropped."""


class _Address:
    """The connections from one address."""

    __slots__ = ("count", "idle")

    def __init__(self) -> None:
        self.count = 0
        self.idle: OrderedDict[HttpProtocol, None] = OrderedDict()


class Connections(Registry):
    """Takes and counts connections (G4), and ends those whose time is up (G3).

    A connection above a bound takes the place of the one that has been idle for longest, of the same address if it is
    the bound of an address; where none is idle it is refused. Idle is who has no request under way. `proxies` are
    trusted and stand for many clients: for them only the bound of all counts.
    """

    def __init__(
        self,
        clock: Clock,
        sweeper: Sweeper,
        limits: ConnectionLimits,
        bounds: ConnectionBounds,
        proxies: Sequence[Network],
        refusals: Refusals,
        defects: Defects,
    ) -> None:
        self.limits = limits
        self.refusals = refusals
        self.defects = defects
        self.now = clock.monotonic
        self._sweeper = sweeper
        self._bounds = bounds
        self._proxies = proxies
        self._all: set[HttpProtocol] = set()
        self._idle: OrderedDict[HttpProtocol, None] = OrderedDict()
        self._addresses: dict[str, _Address] = {}
        self._turned_away: OrderedDict[HttpProtocol, None] = OrderedDict()
        self._watching = False
        self._own: tuple[list[tuple[bytes, bytes]], bytes] = [], b""
        self._refusals = self._evictions = 0
        self.buffered = 0

    def __len__(self) -> int:
        return len(self._all)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """The gauges."""
        return {
            "headgate_connections": self.__len__,
            "headgate_connections_idle": self._idle.__len__,
            "headgate_connections_refused": lambda: self._refusals,
            "headgate_connections_evicted": lambda: self._evictions,
        }

    def accept(
        self,
        config: Config,
        server_state: ServerState,
        app_state: Mapping[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> HttpProtocol:
        """What uvicorn takes for its protocol class. `app_state` is of no use here: nothing is kept in it."""
        return HttpProtocol(self, cast("Application", config.loaded_app), server_state)

    def admit(self, connection: HttpProtocol, address: str) -> bool:
        """Takes a new connection in, as an idle one; False if there is no room."""
        key = "" if self._proxies and is_within(address, self._proxies) else neighbourhood(address)
        record = self._addresses.get(key)
        if key and record is not None and record.count >= self._bounds.per_address and not self._evict(record.idle):
            return self._turn_away(connection)
        if len(self._all) >= self._bounds.total and not self._evict(self._idle):
            return self._turn_away(connection)
        record = self._addresses.setdefault(key, _Address())
        record.count += 1
        connection.address = key
        self._all.add(connection)
        self.rest(connection)
        self._watch()
        return True

    def _turn_away(self, connection: HttpProtocol) -> bool:
        self._refusals += 1
        if len(self._turned_away) >= MAX_TURNED_AWAY:
            oldest, _ = self._turned_away.popitem(last=False)
            oldest.transport.abort()
        self._turned_away[connection] = None
        self._watch()
        return False

    def remove(self, connection: HttpProtocol) -> None:
        """The connection is gone; idempotent."""
        self._turned_away.pop(connection, None)
        if connection not in self._all:
            return
        self.work(connection)
        self._all.remove(connection)
        record = self._addresses[connection.address]
        record.count -= 1
        if not record.count:
            del self._addresses[connection.address]

    def rest(self, connection: HttpProtocol) -> None:
        """The connection has no request under way: it may have to make room. Idempotent."""
        if connection not in self._all:
            return
        self._idle[connection] = None
        self._addresses[connection.address].idle[connection] = None

    def work(self, connection: HttpProtocol) -> None:
        """The connection has a request under way; idempotent."""
        self._idle.pop(connection, None)
        self._addresses[connection.address].idle.pop(connection, None)

    def own_headers(self, given: list[tuple[bytes, bytes]]) -> bytes:
        """The server's own headers as lines, written once for each list that uvicorn makes (one a second)."""
        if self._own[0] is not given:
            self._own = given, b"".join([b"%b: %b\r\n" % header for header in given])
        return self._own[1]

    def _evict(self, idle: "OrderedDict[HttpProtocol, None]") -> bool:
        """Closes the one that has been idle for longest, at once: its place, and its descriptor, are needed now."""
        oldest = next(iter(idle), None)
        if oldest is None:
            return False
        self._evictions += 1
        self.remove(oldest)
        oldest.transport.abort()
        return True

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            self._sweeper.alarm(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Ends what is over its time."""
        self._watching = False
        now = self.now()
        everyone = chain(self._all, self._turned_away)
        due = [one for one in everyone if one.deadline <= now or one.write_paused or one.read_paused]
        for connection in due[:ENDED_AT_ONCE]:
            connection.look(now)
        if len(due) > ENDED_AT_ONCE:
            self._watching = True
            self._sweeper.alarm(0.0, self._look)
        elif self._all or self._turned_away:
            self._watch()
