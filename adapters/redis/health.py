"""Whether Redis serves: what the client knows of it, checked by a PING in the background."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum

from adapters.redis.errors import (
    RedisAuthenticationError,
    RedisClientError,
    RedisOverloadedError,
    RedisUnavailableError,
    RedisUnsupportedError,
)
from domain.part import Part
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where

CHECK_SECONDS = (0.6, 0.8)
"""Between two checks while Redis serves and nothing else tells that it does."""
PROBE_SECONDS = (0.2, 1.0)
"""Between two probes while it does not."""
LOCKED_OUT_SECONDS = (5.0, 10.0)
"""Between two probes while it does not accept the credentials, or is a cluster: an operator must act first."""
REPORT_SECONDS = 1.0

StateChanged = Callable[[bool, str], None]
"""Told whether Redis serves, and the code word of the reason if not: at most once a second."""


class _State(Enum):
    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"


class Health:
    """A breaker around Redis: while it is open, commands fail at once and only the probe touches the socket.

    One failed command makes Redis suspect and a PING decides: so a slow command alone shuts nobody out, and a Redis
    that hangs is found out within one deadline. A failed connection, where no other lives, decides at once.

    A check with a defect costs itself. If each has one, nobody would find Redis up again, or down: then the process is
    broken.
    """

    def __init__(
        self,
        ping: Callable[[], Awaitable[object]],
        went_down: Callable[[RedisClientError], None],
        came_up: Callable[[], None],
        changed: StateChanged,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._telling = Wall(defects, Where.REDIS)
        self._ping = ping
        self._went_down = went_down
        self._came_up = came_up
        self._changed = changed
        self._state = _State.DOWN
        self._failure: RedisClientError = RedisUnavailableError("NOT_STARTED")
        self._doubt = asyncio.Event()
        self._checked = asyncio.Event()
        self._part: Part | None = None
        self._report: asyncio.TimerHandle | None = None
        self._reported: tuple[bool, float] = (True, float("-inf"))
        self.seen_well = 0.0
        """When Redis last answered something, on the time of the event loop. Those who talk to it set it."""

    @property
    def failure(self) -> RedisClientError | None:
        """Why commands fail at once, None while they do not."""
        return self._failure if self._state is _State.DOWN else None

    async def start(self) -> None:
        """Starts the checks and waits for the first, which has its own deadlines. Never raises for Redis."""
        if self._part is None:
            self._part = Part.of_turns(self._turn, Where.REDIS, self._defects)
        await self._checked.wait()

    def suspect(self) -> None:
        """A command failed in a way that may mean that Redis does not serve."""
        if self._state is _State.UP:
            self._state = _State.SUSPECT
            self._doubt.set()

    def condemn(self, failure: RedisClientError) -> None:
        """Redis cannot serve now: nobody tries until a probe succeeds."""
        was, self._state = self._state, _State.DOWN
        self._failure = failure
        if was is not _State.DOWN:
            self._went_down(failure)
            self._doubt.set()  # ends the pause between two checks: the next one is a probe's
        self._tell()

    async def aclose(self) -> None:
        """Stops the checks. Commands fail from now on."""
        self._state, self._failure = _State.DOWN, RedisUnavailableError("CLOSED")
        if self._report is not None:
            self._report.cancel()
        if self._part is not None:
            await self._part.aclose()

    async def _turn(self) -> None:
        if self._checked.is_set():
            await self._pause()
        try:
            await self._check()
        finally:  # who waits for the first check goes on without Redis
            self._checked.set()

    async def _check(self) -> None:
        try:
            await self._ping()
        except RedisOverloadedError:  # all connections are in use: that says nothing about Redis
            return
        except RedisClientError as error:
            self.condemn(error)
            self._doubt.clear()
            return
        was, self._state = self._state, _State.UP
        if was is _State.DOWN:
            self._tell()
            self._came_up()

    async def _pause(self) -> None:
        """Until the next check is due: at once if a command failed, later while Redis is heard from anyway."""
        loop = asyncio.get_running_loop()
        interval, due = self._interval(), loop.time()
        due += interval
        while (left := due - loop.time()) > 0:
            state = self._state
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._doubt.wait()
            if self._doubt.is_set():
                self._doubt.clear()
                if self._state is _State.SUSPECT:
                    return
            if self._state is not state:  # it has just gone down: the first probe comes after a pause
                interval = self._interval()
                due = loop.time() + interval
            elif self._state is _State.UP:
                due = max(due, self.seen_well + interval)

    def _interval(self) -> float:
        if self._state is not _State.DOWN:
            between = CHECK_SECONDS
        elif isinstance(self._failure, RedisAuthenticationError | RedisUnsupportedError):
            between = LOCKED_OUT_SECONDS
        else:
            between = PROBE_SECONDS
        return random.uniform(*between)  # noqa: S311 - jitter

    def _tell(self) -> None:
        """Reports the state if it changed since the last report; within a second of that, later."""
        now = asyncio.get_running_loop().time()
        serves, since = self._state is not _State.DOWN, self._reported[1]
        if self._report is not None or serves is self._reported[0]:
            return
        if now - since < REPORT_SECONDS:
            self._report = asyncio.get_running_loop().call_at(since + REPORT_SECONDS, self._tell_late)
            return
        self._reported = (serves, now)
        with self._telling:
            self._changed(serves, "" if serves else self._failure.word)

    def _tell_late(self) -> None:
        self._report = None
        self._tell()
