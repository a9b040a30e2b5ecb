"""What a process needs of Redis to be one of a fleet, started and stopped as one."""

import secrets
from collections.abc import Callable, Mapping

from adapters.redis.breaker_board import RedisBreakerBoard
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisAuthenticationError
from adapters.redis.limiter_lease import LeasingLimiter
from adapters.redis.queue import RedisMessageQueue
from adapters.redis.shared_secret import shared_secret
from adapters.redis.slots import RedisSlots
from adapters.redis.stream_log import RedisStreamLog
from domain.errors import ConfigurationError
from domain.part import Part
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where
from ports.limiter import Limiter
from ports.occupancy import Occupancy

SECRET_PAUSE = 1.0
"""Seconds between two questions for the fleet's secret."""


class RedisFleet(Occupancy):
    """What one process has on Redis; `adopt` is given the secret that the fleet shares.

    To join again with a defect costs one try; if each has one, ids of this process may be strangers' elsewhere: then it
    is broken.
    """

    def __init__(
        self,
        client: RedisClient,
        log: RedisStreamLog,
        slots: RedisSlots,
        breakers: RedisBreakerBoard,
        queue: RedisMessageQueue,
        limiter: Limiter,
        clock: Clock,
        adopt: Callable[[bytes], None],
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._client = client
        self._slots = slots
        self._log = log
        self._breakers = breakers
        self._queue = queue
        self._clock = clock
        self._adopt = adopt
        self._limiter = limiter
        self._connected = False
        self._secret = b""
        self._joining: Part | None = None

    @property
    def trouble(self) -> str | None:
        """Why Redis does not serve, in a word; None while it does."""
        failure = self._client.failure
        return None if failure is None else failure.word

    async def connect(self) -> None:
        """Connects, once. A server may call it before it takes on anything that has to be undone.

        Raises `ConfigurationError` if Redis does not accept the credentials.
        """
        if self._connected:
            return
        await self._client.start()
        if isinstance(self._client.failure, RedisAuthenticationError):
            await self._client.aclose()
            raise ConfigurationError("REDIS_URL, REDIS_PASSWORD: Redis does not accept these credentials")
        self._connected = True

    async def start(self) -> None:
        """Connects and joins; a Redis that cannot be reached is waited for in the background. Raises as `connect`."""
        await self.connect()
        self._log.start()
        await self._breakers.start()
        self._secret = secrets.token_bytes(32)
        self._adopt(self._secret)
        await self._join()
        self._slots.start()
        self._joining = Part.of_turns(self._keep_joined, Where.FLEET, self._defects)

    def enlist(self) -> None:
        """This process is a worker, which is told of free slots before all others."""
        self._queue.enlist()

    async def aclose(self) -> None:
        """Writes what is on its way and closes all connections, each whatever became of the others."""
        closing = Wall(self._defects, Where.SHUTDOWN)
        if self._joining is not None:
            await self._joining.aclose()
        if isinstance(self._limiter, LeasingLimiter):
            with closing:
                await self._limiter.aclose()
        for one in (self._slots, self._breakers, self._log, self._client):
            with closing:
                await one.aclose()

    async def _join(self) -> None:
        """Gives Redis the secret, or takes the one that is there."""
        shared = await shared_secret(self._client, self._secret)
        if shared is not None and shared != self._secret:
            self._secret = shared
            self._adopt(shared)

    async def _keep_joined(self) -> None:
        """A Redis that lost its data is told the secret again: who joins later must know the ids of today (S6)."""
        await self._clock.sleep(SECRET_PAUSE)
        await self._join()

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How it stands with Redis."""
        client = self._client
        return {
            "headgate_redis_up": lambda: float(client.healthy),
            "headgate_redis_connections": lambda: client.connections,
            "headgate_redis_commands": lambda: client.commands,
            "headgate_redis_round_trips": lambda: client.round_trips,
        }
