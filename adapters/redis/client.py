"""The Redis client: every command has a deadline, and a dead Redis costs its callers nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import cast

from adapters.redis.connection import CONNECT_SECONDS, Connector
from adapters.redis.connection_pool import ConnectionPool
from adapters.redis.dedicated import DedicatedConnection
from adapters.redis.errors import (
    RedisClientError,
    RedisRefusedError,
    RedisUnsupportedError,
    not_serving,
)
from adapters.redis.group_commit import GroupCommit
from adapters.redis.health import Health, StateChanged
from adapters.redis.resp import Argument, Reply, pack, server_facts
from adapters.redis.script import Script
from adapters.redis.sentinel import SentinelConnector
from domain.part import Part
from ports.defects import LOGGED_DEFECTS, Defects, Where

HOT_SECONDS = 0.1
"""The deadline of a command on the path of a request."""
POOL_WAIT_SECONDS = 0.05
PROBE_WAIT_SECONDS = 0.4
"""Less than connecting may take, so that a pool whose connections are all in use shows as that."""
DROP_PAUSE_SECONDS = 1.0
"""Between two drops of the pool: a Redis that stays read-only is not stormed with connections."""
COUNTED = frozenset({"BUSY", "MISCONF", "NOPERM", "OOM", "READONLY"})
"""Refusals that tell of Redis itself and not of the command."""

Timing = Callable[[str, str], AbstractContextManager[object]]
"""Times what runs in it: called with the stage (`REDIS.GET_OPERATION`) and a name for people."""


class RedisClient:
    """Commands on one Redis, batched in two lanes, so that large values do not hold up small commands;
    the health check has a third.

    `timing` is the tracker's `track_substage`; `changed` is told when Redis goes and comes back. Times are seconds.
    What the methods raise is drawn in `adapters.redis.errors`.
    """

    def __init__(
        self,
        connector: Connector,
        timing: Timing,
        changed: StateChanged,
        *,
        pool_min: int = 10,
        pool_max: int = 200,
        max_commands: int = 10_000,
        max_bytes: int = 64 << 20,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._timing = timing
        self._defects = defects
        self._health = Health(self._ping, self._went_down, self._came_up, changed, defects)
        self._pool = ConnectionPool(connector, pool_min, pool_max, self._connect_failed, defects)
        self._hot = self._lane(lambda: self._health.failure, POOL_WAIT_SECONDS, 1, 1_000, max_commands, max_bytes)
        self._bulk = self._lane(lambda: self._health.failure, POOL_WAIT_SECONDS, 4, 16, max_commands, max_bytes)
        self._probe = self._lane(lambda: None, PROBE_WAIT_SECONDS, 1, 1, 1, max_bytes)
        self._sentinels = connector if isinstance(connector, SentinelConnector) else None
        self._watch: Part | None = None
        self._stages: dict[str, str] = {}
        self._dropped_at = float("-inf")
        self.refusals: Counter[str] = Counter()
        """Error replies that tell of Redis itself (`OOM`, `MISCONF`, `READONLY`, `BUSY`, `NOPERM`), by code word."""

    def _lane(
        self,
        down: Callable[[], RedisClientError | None],
        wait: float,
        flights: int,
        flight_commands: int,
        max_commands: int,
        max_bytes: int,
        /,
    ) -> GroupCommit:
        return GroupCommit(
            self._pool,
            wait=wait,
            flights=flights,
            flight_commands=flight_commands,
            flight_bytes=1 << 20,
            max_commands=max_commands,
            max_bytes=max_bytes,
            down=down,
            failed=self._health.suspect,
            refused=self._refused,
            answered=self._answered,
            defects=self._defects,
        )

    @property
    def healthy(self) -> bool:
        """Whether Redis serves, as far as is known. False before `start`."""
        return self._health.failure is None

    @property
    def failure(self) -> RedisClientError | None:
        """Why commands fail at once, None while Redis serves."""
        return self._health.failure

    @property
    def connections(self) -> int:
        """Connections that live."""
        return len(self._pool)

    @property
    def idle(self) -> int:
        """Connections that nobody has."""
        return self._pool.idle

    @property
    def connects(self) -> int:
        """Attempts to connect so far."""
        return self._pool.connects

    @property
    def commands(self) -> int:
        """Commands sent so far in the lanes."""
        return self._hot.commands + self._bulk.commands

    @property
    def round_trips(self) -> int:
        """Pipelines sent so far: `commands` over this is what group commit brings."""
        return self._hot.round_trips + self._bulk.round_trips

    async def start(self) -> None:
        """Connects and starts the health checks; returns when the first has succeeded or failed. Never raises.

        Commands fail before it. `failure` tells how it went.
        """
        if self._sentinels is not None and self._watch is None:
            watch = self._sentinels.watch(lambda: self._pool.drop(at_once=False), self._defects)
            self._watch = Part(watch, Where.REDIS, self._defects)
        await self._health.start()

    async def aclose(self) -> None:
        """Ends all tasks and closes all connections; what waits fails."""
        await self._health.aclose()
        if self._watch is not None:
            await self._watch.aclose()
        for lane in (self._hot, self._bulk, self._probe):
            await lane.aclose()
        await self._pool.aclose()

    async def execute(self, *args: Argument, timeout: float = HOT_SECONDS, read: bool = False) -> Reply:
        """Runs one small command. `read` says that it only reads: it is sent again, once, if its connection is lost."""
        return await self._run(self._hot, str(args[0]).upper(), args, timeout, read)

    async def execute_bulk(self, *args: Argument, timeout: float = HOT_SECONDS, read: bool = False) -> Reply:
        """Runs one command that carries much, there or back, beside the small ones."""
        return await self._run(self._bulk, str(args[0]).upper(), args, timeout, read)

    async def evalsha(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Argument] = (),
        *,
        timeout: float = HOT_SECONDS,
        read: bool = False,
    ) -> Reply:
        """Runs a script. If Redis does not have it (any more), once more with its text, within a second `timeout`."""
        return await self._evalsha(self._hot, script, keys, args, timeout, read=read)

    async def evalsha_bulk(
        self, script: Script, keys: Sequence[str | bytes], args: Sequence[Argument] = (), *, timeout: float
    ) -> Reply:
        """Runs a script that carries much, beside the small ones."""
        return await self._evalsha(self._bulk, script, keys, args, timeout, read=False)

    async def _evalsha(
        self,
        lane: GroupCommit,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Argument],
        timeout: float,
        *,
        read: bool,
    ) -> Reply:
        rest = (len(keys), *keys, *args)
        try:
            return await self._run(lane, script.operation, ("EVALSHA", script.sha, *rest), timeout, read)
        except RedisRefusedError as error:
            if error.word != "NOSCRIPT":
                raise
        return await self._run(lane, script.operation, ("EVAL", script.text, *rest), timeout, read)

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[DedicatedConnection]:
        """A connection for the caller alone, for blocking reads; waits at most 50 ms for one."""
        self._serving()
        connection = await self._pool.acquire(POOL_WAIT_SECONDS)
        dedicated = DedicatedConnection(self._pool, connection, self._health.suspect, self._refused)
        try:
            yield dedicated
        finally:
            self._pool.release(connection, clean=dedicated.clean)

    async def _run(
        self, lane: GroupCommit, operation: str, args: tuple[Argument, ...], timeout: float, read: bool
    ) -> Reply:
        stage = self._stages.get(operation)
        if stage is None:
            stage = self._stages[operation] = f"REDIS.{operation}_OPERATION"
        with self._timing(stage, "Redis command"):
            self._serving()
            return cast("Reply", await lane.submit(pack(args), timeout, read=read))

    def _serving(self) -> None:
        """Raises at once while Redis is known not to serve."""
        failure = self._health.failure
        if failure is not None:
            raise failure.for_command(maybe_executed=False)

    async def _ping(self) -> None:
        """The health check; one that has to connect first gets the time for that."""
        timeout = HOT_SECONDS if self._pool.idle else CONNECT_SECONDS
        if self._health.failure is not None:
            await self._standalone(timeout)
        try:
            await self._probe.submit(pack(("PING",)), timeout, read=False)
        except RedisRefusedError as error:
            raise not_serving(error) from error

    async def _standalone(self, timeout: float) -> None:
        """Asks a server that is to serve from now on what it is; every user may (`HELLO` needs no permission)."""
        try:
            reply = cast("Reply", await self._probe.submit(pack(("HELLO",)), timeout, read=False))
        except RedisRefusedError:  # something between us and Redis does not know it
            return
        mode = server_facts(reply).get(b"mode", b"standalone")
        if isinstance(mode, bytes) and mode != b"standalone":
            raise RedisUnsupportedError(mode.decode().upper())

    def _went_down(self, failure: RedisClientError) -> None:
        self._pool.drop(at_once=True)
        self._pool.fail_waiters(failure)
        self._hot.fail_waiting(failure)
        self._bulk.fail_waiting(failure)

    def _came_up(self) -> None:
        self._pool.warm()

    def _answered(self) -> None:
        self._health.seen_well = asyncio.get_running_loop().time()

    def _connect_failed(self, failure: RedisClientError, others_live: bool) -> None:
        if others_live:
            self._health.suspect()
        else:
            self._health.condemn(failure)

    def _refused(self, word: str) -> None:
        """A refusal that tells of Redis: after a failover the pool is dropped, a busy Redis is like one that hangs."""
        if word not in COUNTED:
            return
        self.refusals[word] += 1
        now = asyncio.get_running_loop().time()
        if word == "READONLY" and now - self._dropped_at > DROP_PAUSE_SECONDS:
            self._dropped_at = now
            self._pool.drop(at_once=False)
        elif word == "BUSY":
            self._health.suspect()
