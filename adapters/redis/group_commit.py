"""The auto-batching pipeline: commands that come while one pipeline is in flight leave together in the next.

Group commit as databases do it with their log (DeWitt et al., "Implementation Techniques for Main Memory Database
Systems", 1984): a lone command leaves at once, and under load a round trip carries many, without a timer to tune.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import chain

from redis.exceptions import ResponseError

from adapters.redis.connection import RedisConnection
from adapters.redis.connection_pool import ConnectionPool
from adapters.redis.errors import (
    VENDOR_ERRORS,
    RedisClientError,
    RedisOverloadedError,
    RedisTimeoutError,
    RedisUnavailableError,
    translated,
)
from adapters.redis.loop_time import HELD_SECONDS, LoopTime
from ports.defects import LOGGED_DEFECTS, Defects, Where


class _Command:
    __slots__ = ("deadline", "future", "limit", "packed", "read", "retried", "sent")

    def __init__(
        self, packed: bytes, deadline: float, limit: float, read: bool, future: asyncio.Future[object]
    ) -> None:
        self.packed = packed
        self.deadline = deadline  # on the lane's time
        self.limit = limit  # on the event loop's
        self.read = read
        self.future = future
        self.sent = False
        self.retried = False

    def fail(self, failure: RedisClientError) -> None:
        """Ends it, unless it has its reply or nobody waits any more."""
        if not self.future.done():
            self.future.set_exception(failure.for_command(maybe_executed=self.sent))


class _Flight:
    """Commands on their way. It lasts until the last of their deadlines, so that none takes another's reply along."""

    __slots__ = ("commands", "expired", "task")

    def __init__(self, commands: list[_Command], task: asyncio.Task[None]) -> None:
        self.commands = commands
        self.task = task
        self.expired = False

    def over(self, lane_now: float, now: float) -> bool:
        """Whether nobody may wait for any of its replies any more."""
        return all(command.deadline <= lane_now or command.limit <= now for command in self.commands)

    def expire(self) -> None:
        """Ends it: the task that flies it tells this from being cancelled itself."""
        if not self.expired:
            self.expired = True
            self.task.cancel()


class GroupCommit:
    """One lane of commands over the pool, where a pipeline waits at most `wait` seconds for a connection.

    At most `flights` pipelines are under way, each of at most `flight_commands` commands and about `flight_bytes`
    bytes; at most `max_commands` and `max_bytes` wait. While `down` gives a failure, nothing leaves. `failed` is told
    what may mean that Redis does not serve, `refused` the code word of each error reply, `answered` that a pipeline
    came back.

    Deadlines are on the lane's own time, which stands still while the event loop is held up (a garbage collection, a
    long callback): that Redis is slow cannot be said when it was us who did not look.

    A waiter that is cancelled leaves its command behind: the flight is a task of its own, and reads every reply.

    A flight that meets a defect (one of those who are told, say) fails its own commands, is reported, and the next one
    leaves: the commands of all parts and all tenants go through here.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        *,
        wait: float,
        flights: int,
        flight_commands: int,
        flight_bytes: int,
        max_commands: int,
        max_bytes: int,
        down: Callable[[], RedisClientError | None],
        failed: Callable[[], None],
        refused: Callable[[str], None],
        answered: Callable[[], None],
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._pool = pool
        self._wait = wait
        self._max_flights = flights
        self._flight_commands = flight_commands
        self._flight_bytes = flight_bytes
        self._max_commands = max_commands
        self._max_bytes = max_bytes
        self._down = down
        self._failed = failed
        self._refused = refused
        self._answered = answered
        self._queue: deque[_Command] = deque()
        self._queued_bytes = 0
        self._flights: set[_Flight] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._sleeping: list[asyncio.Future[None]] = []  # of the pumps that wait for work
        self._time = LoopTime(self._look, defects)
        self._nearest = float("inf")  # no deadline is earlier
        self.commands = 0
        """Commands sent so far."""
        self.round_trips = 0
        """Pipelines sent so far."""

    def __len__(self) -> int:
        """Commands that wait for a flight."""
        return len(self._queue)

    def submit(self, packed: bytes, timeout: float, *, read: bool) -> asyncio.Future[object]:
        """Queues one command in Redis's protocol; the future gets its reply, or a `RedisClientError`, in `timeout`.

        A command that only reads (`read`) is sent once more if its connection is lost. Raises `RedisOverloadedError`
        where too much waits already.
        """
        if len(self._queue) >= self._max_commands or self._queued_bytes + len(packed) > self._max_bytes:
            raise RedisOverloadedError("OVERLOADED")
        loop = asyncio.get_running_loop()
        now = self._time.start(loop)
        deadline = now - self._time.held + timeout
        command = _Command(packed, deadline, now + timeout + HELD_SECONDS, read, loop.create_future())
        self._queue.append(command)
        self._queued_bytes += len(packed)
        if deadline < self._nearest:
            self._nearest = deadline
        if self._sleeping:
            self._sleeping.pop().set_result(None)
        elif len(self._pumps) < self._max_flights:
            self._pumps.add(loop.create_task(self._pump()))
        return command.future

    def fail_waiting(self, failure: RedisClientError) -> None:
        """Fails what has not left yet."""
        for command in self._queue:
            command.fail(failure)
        self._queue.clear()
        self._queued_bytes = 0

    async def aclose(self) -> None:
        """Fails what waits and what is under way, and ends the tasks."""
        self._time.stop()
        failure = RedisOverloadedError("CLOSED")
        self.fail_waiting(failure)
        for flight in self._flights:
            for command in flight.commands:
                command.fail(failure)
        self._sleeping.clear()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _pump(self) -> None:
        """Flies until the lane is closed; it sleeps between, because a task for each lone command would cost more."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        loop = asyncio.get_running_loop()
        try:
            while True:
                if commands := self._take():
                    flight = _Flight(commands, task)
                    self._flights.add(flight)
                    try:
                        await self._fly(flight)
                    except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would fail these commands
                        for command in commands:
                            command.fail(RedisUnavailableError("DEFECT"))
                        self._defects.report(Where.REDIS, error)
                    finally:
                        self._flights.discard(flight)
                else:
                    work = loop.create_future()
                    self._sleeping.append(work)
                    await work
        finally:
            self._pumps.discard(task)

    def _take(self) -> list[_Command]:
        """What leaves next: in order, without those for whom nobody waits any more."""
        queue, size = self._queue, 0
        taken: list[_Command] = []
        while queue and len(taken) < self._flight_commands:
            packed = len(queue[0].packed)
            if taken and size + packed > self._flight_bytes:
                break
            command = queue.popleft()
            self._queued_bytes -= packed
            if not command.future.done():
                size += packed
                taken.append(command)
        return taken

    async def _fly(self, flight: _Flight) -> None:
        try:
            if (down := self._down()) is not None:
                raise down.for_command(maybe_executed=False)
            connection = await self._pool.acquire(self._wait)
        except RedisClientError as error:
            for command in flight.commands:
                command.fail(error)
            return
        except asyncio.CancelledError:
            if not flight.expired:
                raise
            flight.task.uncancel()
            return
        answered = False
        try:
            await self._exchange(connection, flight.commands)
            answered = True
            self._answered()
        except VENDOR_ERRORS as error:
            self._lost(flight, translated(error))
        except asyncio.CancelledError:
            if not flight.expired:
                raise
            flight.task.uncancel()
            self._failed()
        finally:
            self._pool.release(connection, clean=answered)

    async def _exchange(self, connection: RedisConnection, commands: list[_Command]) -> None:
        """Sends them and reads as many replies, each to its own command."""
        self.round_trips += 1
        self.commands += len(commands)
        for command in commands:
            command.sent = True
        await connection.send_packed_command(b"".join([command.packed for command in commands]), check_health=False)
        for command in commands:
            try:
                reply = await connection.read_response(disable_decoding=True)
            except ResponseError as error:
                failure = translated(error)
                self._refused(failure.word)
                if not command.future.done():
                    command.future.set_exception(failure)
            else:
                if not command.future.done():
                    command.future.set_result(reply)

    def _lost(self, flight: _Flight, failure: RedisClientError) -> None:
        """The connection is gone: reads go once more, with the deadline that they have; the fate of writes is open."""
        self._failed()
        again = []
        for command in flight.commands:
            if command.read and not command.retried and not command.future.done():
                command.retried = True
                again.append(command)
            else:
                command.fail(failure)
        self._queue.extendleft(reversed(again))
        self._queued_bytes += sum(len(command.packed) for command in again)

    def _look(self, now: float, held: bool) -> bool:
        """One timer for the whole lane, while anything is under way."""
        if held or self._nearest <= now - self._time.held:
            self._end_what_is_over(now)
        if self._queue or self._flights:
            return True
        self._nearest = float("inf")
        return False

    def _end_what_is_over(self, now: float) -> None:
        lane_now, self._nearest = now - self._time.held, float("inf")
        for command in chain(self._queue, *(flight.commands for flight in self._flights)):
            if command.future.done():
                continue
            if command.deadline > lane_now and command.limit > now:
                self._nearest = min(self._nearest, command.deadline)
                continue
            if command.sent:
                self._failed()
            command.fail(RedisTimeoutError("TIMEOUT"))
        for flight in self._flights:
            if flight.over(lane_now, now):
                flight.expire()
            else:  # it may have no waiter left and yet be in time: its end must be noticed too
                self._nearest = min(self._nearest, max(command.deadline for command in flight.commands))
