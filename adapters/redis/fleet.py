"""What a process needs of Redis to be one of a fleet, started and stopped as one."""

import asyncio
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
from ports.clock import Clock
from ports.limiter import Limiter
from ports.occupancy import Occupancy

SECRET_PAUSE = 1.0
"""Seconds between two questions for the fleet's secret."""


class RedisFleet(Occupancy):
    """What one process has on Redis; `adopt` is given the secret that the fleet shares."""

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
    ) -> None:
        self._client = client
        self._slots = slots
        self._log = log
        self._breakers = breakers
        self._queue = queue
        self._clock = clock
        self._adopt = adopt
        self._limiter = limiter
        self._connected = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def trouble(self) -> str | None:
        """Why Redis does not serve, in a word; None while it does."""
        if self._log.broken or any(task.done() for task in self._tasks):
            return "DEFECT"
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
        secret = secrets.token_bytes(32)
        self._adopt(secret)
        secret = await self._join(secret)
        self._slots.start()
        self._tasks = [asyncio.create_task(self._keep_joined(secret))]

    def enlist(self) -> None:
        """This process is a worker, which is told of free slots before all others."""
        self._queue.enlist()

    async def aclose(self) -> None:
        """Writes what is on its way and closes all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if isinstance(self._limiter, LeasingLimiter):
            await self._limiter.aclose()
        await self._slots.aclose()
        await self._breakers.aclose()
        await self._log.aclose()
        await self._client.aclose()

    async def _join(self, secret: bytes) -> bytes:
        """Gives Redis the secret, or takes the one that is there; the one that holds now."""
        shared = await shared_secret(self._client, secret)
        if shared is None or shared == secret:
            return secret
        self._adopt(shared)
        return shared

    async def _keep_joined(self, secret: bytes) -> None:
        """A Redis that lost its data is told the secret again: who joins later must know the ids of today (S6)."""
        while True:
            await self._clock.sleep(SECRET_PAUSE)
            secret = await self._join(secret)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How it stands with Redis."""
        client = self._client
        return {
            "headgate_redis_up": lambda: float(client.healthy),
            "headgate_redis_connections": lambda: client.connections,
            "headgate_redis_commands": lambda: client.commands,
            "headgate_redis_round_trips": lambda: client.round_trips,
        }
