"""The server: uvicorn, and how it goes away (S12, G8)."""

import asyncio
import gc
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI

from domain.services.streams import StreamService
from entrypoints.http.server.connections import Connections
from entrypoints.http.sse import OpenStreams
from entrypoints.last_resort import STUCK, LastResort
from entrypoints.signals import Hangup
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where

GC_THRESHOLDS = (10_000, 1_000_000, 1_000_000)
"""After so many young objects a young collection; no others. What survives one is mostly a stream, kept for minutes: to
look at it again cost 4 % of a burst, and a full collection takes half a second with 10,000 streams."""
FULL_COLLECTION_SECONDS = (60.0, 600.0)
"""The least time between two full collections while no stream is open, and while some are."""
LAST_WORDS_SECONDS = 2
"""For what is written when the drain time is over: goodbyes, and nothing else. It is less than the grace of the last
resort, since the steps of the end are behind it."""


class DrainingServer(uvicorn.Server):
    """On the first signal new work is refused and streams go on; when they have ended, or the drain time is over,
    readers are told to come back elsewhere and the process ends. A second signal ends the drain at once.

    A part of the process that has ended by a defect is like a first signal, but that the exit status is not 0: a
    supervisor puts another process in its place. `on_tick` sees to both. It is called by uvicorn's own loop, and so
    needs no part of the service; where it is not called any more, there is the last resort."""

    def __init__(
        self,
        app: FastAPI,
        service: StreamService,
        streams: OpenStreams,
        connections: Connections,
        *,
        host: str,
        port: int,
        drain_timeout: float,
        connect: Callable[[], Awaitable[None]] | None = None,
        parent: int | None = None,
        defects: Defects = LOGGED_DEFECTS,
        last_resort: LastResort | None = None,
        hangup: Hangup | None = None,
    ) -> None:
        """`connect` is awaited first; `parent` is the process whose end ends this one. `last_resort` and `hangup` are
        for a server that has the process to itself."""
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=cast("type[asyncio.Protocol]", connections.accept),
            loop="uvloop",
            ws="none",
            proxy_headers=False,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=LAST_WORDS_SECONDS,
        )
        super().__init__(config)
        self._service = service
        self._streams = streams
        self._drain_timeout = drain_timeout
        self._connect = connect
        self._parent = parent
        self._defects = defects
        self._wall = Wall(defects, Where.SHUTDOWN)
        self._last_resort = last_resort
        self._hangup = hangup
        self._deadline: float | None = None
        self._collected_at = 0.0

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until it is told to go. `connect` comes first, and what it raises is raised here: from the lifespan
        of an application an error only comes as a traceback in the log."""
        if self._connect is not None:
            await self._connect()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen; what was imported until now is not looked at again by the garbage collector.

        Streams are kept for minutes: young objects mostly live, and each full collection walks all of them. Requests
        leave no cycles, so that there is little to find: full collections are made by the clock (`on_tick`).
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        self._collected_at = time.monotonic()

    @property
    def status(self) -> int:
        """The exit status of the process: 0 once it has drained, unless a part of it has ended by a defect."""
        return 0 if self._defects.broken is None else STUCK

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal. Not handed on: a drained process exits with 0."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._drain_timeout
            self._arm(self._drain_timeout)
            with self._wall:
                self._service.drain()
            return
        self._arm(0.0)
        if self.should_exit:
            self.force_exit = True
        else:
            self._deadline = 0.0

    def _arm(self, seconds: float) -> None:
        if self._last_resort is not None:
            self._last_resort.arm(seconds)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: is it time to go? A worker whose supervisor has died goes, too."""
        if self._deadline is None:
            orphaned = self._parent is not None and os.getppid() != self._parent
            if orphaned or self._defects.broken is not None:
                self.handle_exit(signal.SIGTERM, None)
        elif not self._streams or time.monotonic() >= self._deadline:
            self.should_exit = True
            with self._wall:
                self._streams.say_goodbye()
        if self._hangup is not None:
            self._hangup.look()
        idle, busy = FULL_COLLECTION_SECONDS
        if time.monotonic() - self._collected_at >= (busy if self._streams else idle):
            gc.collect()
            self._collected_at = time.monotonic()
        return await super().on_tick(counter)
