"""A connection for one user alone: for blocking reads, which would hold up all others on a shared one."""

import asyncio
from collections.abc import Callable

from redis.exceptions import ResponseError

from adapters.redis.connection import RedisConnection
from adapters.redis.connection_pool import ConnectionPool
from adapters.redis.errors import VENDOR_ERRORS, RedisTimeoutError, RedisUnavailableError, translated
from adapters.redis.resp import Argument, Reply, pack


class DedicatedConnection:
    """One command at a time. After any failure but an error reply it is of no use any more."""

    def __init__(
        self,
        pool: ConnectionPool,
        connection: RedisConnection,
        failed: Callable[[], None],
        refused: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._failed = failed
        self._refused = refused
        self._busy = False
        self.clean = True
        """All that was asked was answered."""

    async def execute(self, *args: Argument, timeout: float) -> Reply:
        """Sends one command; `timeout` covers its reply, so it is longer than the time that Redis is told to block.

        Raises `RedisUnavailableError` (after a failover too: take another connection then) and `RedisRefusedError`.
        """
        if self._busy:
            raise RuntimeError("a dedicated connection carries one command at a time")
        if not self.clean or not self._pool.current(self._connection):
            raise RedisUnavailableError("CONNECTION")
        self._busy, self.clean = True, False
        try:
            async with asyncio.timeout(timeout):
                await self._connection.send_packed_command(pack(args), check_health=False)
                reply: Reply = await self._connection.read_response(disable_decoding=True)
        except ResponseError as error:
            self.clean = True
            failure = translated(error)
            self._refused(failure.word)
            raise failure from None
        except TimeoutError:
            self._failed()
            raise RedisTimeoutError("TIMEOUT", maybe_executed=True) from None
        except VENDOR_ERRORS as error:
            self._failed()
            raise translated(error).for_command(maybe_executed=True) from None
        finally:
            self._busy = False
        self.clean = True
        return reply
