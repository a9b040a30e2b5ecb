"""The connections to one Redis: taken for a while, given back, replaced when they are dead."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import NamedTuple

from adapters.redis.connection import CONNECT_SECONDS, Connector, RedisConnection, abort
from adapters.redis.errors import (
    VENDOR_ERRORS,
    RedisClientError,
    RedisOverloadedError,
    RedisRefusedError,
    RedisTimeoutError,
    not_serving,
    translated,
)
from adapters.redis.loop_time import HELD_SECONDS, LoopTime
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where

SURPLUS_SECONDS = 30.0
"""How long a connection above the minimum may be idle."""
GROWTH_PAUSE = (0.2, 1.0)
"""Seconds without new connections after one failed, while others live: a Redis full of clients is not stormed."""
WARM_PAUSE = (0.0, 0.02)
"""Seconds between two connections made in advance: a fleet that starts at once does not knock at once."""


class _Idle(NamedTuple):
    connection: RedisConnection
    since: float


class _Waiter(NamedTuple):
    future: "asyncio.Future[RedisConnection]"
    deadline: float  # on the pool's time, which stands still while the event loop is held up
    limit: float  # on the event loop's


class ConnectionPool:
    """At most `maximum` connections, `minimum` of them kept; the one that was used last is used next.

    Connecting is a task of the pool: whoever waits for a connection may give up, the connection does not. `failed` is
    told of each failed attempt, and whether any connection lives.
    """

    def __init__(
        self,
        connector: Connector,
        minimum: int,
        maximum: int,
        failed: Callable[[RedisClientError, bool], None],
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._wall = Wall(defects, Where.REDIS)
        self._connector = connector
        self._minimum = minimum
        self._maximum = maximum
        self._failed = failed
        self._generation = 0
        self._members: dict[RedisConnection, int] = {}  # connected; with the generation that they belong to
        self._idle: deque[_Idle] = deque()  # the one that was used last is last
        self._waiters: deque[_Waiter] = deque()
        self._time = LoopTime(self._look, defects)
        self._warming = -1  # the generation that is being filled up
        self._connecting = 0
        self._grow_after = 0.0
        self._opening: set[asyncio.Task[object]] = set()
        self._closing: set[asyncio.Task[object]] = set()
        self._kept = False  # the minimum is made up for while Redis serves
        self._closed = False
        self.connects = 0
        """Attempts to connect so far."""

    def __len__(self) -> int:
        """Connections that live."""
        return len(self._members)

    @property
    def idle(self) -> int:
        """Connections that nobody has."""
        return len(self._idle)

    async def acquire(self, wait: float) -> RedisConnection:
        """A connection for the caller alone, until `release`.

        Raises `RedisOverloadedError` if none gets free within `wait` seconds, `RedisTimeoutError` if none gets
        connected in that time, and what connecting raised if that failed and no connection lives. The wait runs on
        time that stands still while the event loop is held up.
        """
        while self._idle:
            connection = self._idle.pop().connection
            if connection.is_connected and not await connection.can_read():
                return connection
            self._discard(connection)
        loop = asyncio.get_running_loop()
        now = self._time.start(loop)
        future: asyncio.Future[RedisConnection] = loop.create_future()
        waiter = _Waiter(future, now - self._time.held + wait, now + wait + HELD_SECONDS)
        self._waiters.append(waiter)
        self._grow()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(future.result(), clean=True)  # it came in the moment in which the waiter left
            raise
        finally:
            with suppress(ValueError):
                self._waiters.remove(waiter)

    def release(self, connection: RedisConnection, *, clean: bool) -> None:
        """Takes it back. `clean`: all that was asked on it was answered; otherwise it is closed."""
        if clean and self.current(connection):
            self._offer(connection)
        else:
            self._discard(connection)
            self._grow()

    def current(self, connection: RedisConnection) -> bool:
        """Whether it lives, and was made after the last `drop`."""
        return self._members.get(connection) == self._generation and connection.is_connected

    def drop(self, *, at_once: bool) -> None:
        """Closes all: the idle ones now, those in use now too (`at_once`) or when they are given back."""
        self._generation += 1
        self._kept = self._kept and not at_once
        for connection in [*self._members] if at_once else [one.connection for one in self._idle]:
            if at_once:
                abort(connection)
            self._discard(connection)
        self._idle.clear()
        self._grow()

    def fail_waiters(self, failure: RedisClientError) -> None:
        """Sends away all who wait for a connection."""
        for waiter in self._waiters:
            if not waiter.future.done():
                waiter.future.set_exception(failure.for_command(maybe_executed=False))

    def warm(self) -> None:
        """Connects in the background until there are `minimum`, one after the other, and makes up for what dies.

        Until all are dropped at once. After an attempt that failed the next one waits; where no connection lives there
        is none: Redis is down then, and whoever finds it up again calls this.
        """
        self._kept, self._grow_after = True, 0.0
        self._refill()

    def _refill(self) -> None:
        if self._kept and self._warming != self._generation and not self._closed and not self._paused():
            self._warming = self._generation
            self._own(self._warm(self._generation), self._opening)

    async def _warm(self, generation: int) -> None:
        try:
            while self._generation == generation and len(self._members) + self._connecting < self._minimum:
                self._connecting += 1
                if await self._connect():
                    await asyncio.sleep(random.uniform(*WARM_PAUSE))  # noqa: S311 - jitter
                elif self._members:  # a Redis full of clients may have room again soon
                    await asyncio.sleep(random.uniform(*GROWTH_PAUSE))  # noqa: S311 - jitter
                else:
                    return
        finally:
            if self._warming == generation:
                self._warming = -1

    async def aclose(self) -> None:
        """Closes every connection, those in use too, and waits until all are."""
        self._closed = True
        self._time.stop()
        self.fail_waiters(RedisOverloadedError("CLOSED"))
        self.drop(at_once=True)
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        await asyncio.gather(*self._closing)

    def _grow(self) -> None:
        """Starts to connect for those who wait and for whom nothing is under way."""
        waiting = sum(not waiter.future.done() for waiter in self._waiters)
        while (
            self._connecting < waiting
            and len(self._members) + self._connecting < self._maximum
            and not self._paused()
            and not self._closed
        ):
            self._connecting += 1
            self._own(self._connect(), self._opening)

    def _paused(self) -> bool:
        return bool(self._members) and asyncio.get_running_loop().time() < self._grow_after

    async def _connect(self) -> bool:
        """Adds a connection, which `_connecting` already counts."""
        self.connects += 1
        generation = self._generation
        connection = self._connector()
        try:
            failure = await self._open(connection)
        finally:
            self._connecting -= 1
        if failure is not None:
            self._connect_failed(failure)
            return False
        self._members[connection] = generation
        self.release(connection, clean=not self._closed)
        return True

    async def _open(self, connection: RedisConnection) -> RedisClientError | None:
        """Connects, or says why not."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()
        except (*VENDOR_ERRORS, RedisClientError) as error:
            await self._close(connection)
            failure = translated(error)
            return not_serving(failure) if isinstance(failure, RedisRefusedError) else failure
        except asyncio.CancelledError:
            await self._close(connection)
            raise
        return None

    def _connect_failed(self, failure: RedisClientError) -> None:
        loop = asyncio.get_running_loop()
        self._grow_after = loop.time() + random.uniform(*GROWTH_PAUSE)  # noqa: S311 - jitter
        if not self._members:
            self.fail_waiters(failure)
        self._failed(failure, bool(self._members))

    def _offer(self, connection: RedisConnection) -> None:
        """To the one who waits longest, else to the idle ones."""
        for waiter in self._waiters:
            if not waiter.future.done():
                waiter.future.set_result(connection)
                return
        now = asyncio.get_running_loop().time()
        self._idle.append(_Idle(connection, now))
        if len(self._members) > self._minimum and self._idle[0].since < now - SURPLUS_SECONDS:
            self._discard(self._idle.popleft().connection)

    def _look(self, now: float, held: bool) -> bool:
        """Sends away those who have waited long enough."""
        for waiter in self._waiters:
            if not waiter.future.done() and (waiter.deadline <= now - self._time.held or waiter.limit <= now):
                late = RedisOverloadedError("NO_CONNECTION") if self._members else RedisTimeoutError("CONNECT")
                waiter.future.set_exception(late)
        return bool(self._waiters)

    def _discard(self, connection: RedisConnection) -> None:
        if self._members.pop(connection, None) is not None:
            self._own(self._close(connection), self._closing)
            if len(self._members) < self._minimum:
                self._refill()

    @staticmethod
    async def _close(connection: RedisConnection) -> None:
        abort(connection)
        with suppress(*VENDOR_ERRORS):  # closing a dead socket may fail; it is closed all the same
            await connection.disconnect(nowait=True)

    def _own(self, work: Coroutine[None, None, object], tasks: set[asyncio.Task[object]]) -> None:
        """In a task that never raises: nobody waits for it but `aclose`."""

        async def walled() -> None:
            with self._wall:
                await work

        task = asyncio.get_running_loop().create_task(walled())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
