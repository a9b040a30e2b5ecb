"""One replica of `test_redis_limiter_fleet`: many callers at once on one limiter, whose clock is an hour or so off.

python -m tests.adapters.redis_limiter_process URL SECONDS SKEW
"""

import asyncio
import sys
from collections.abc import Sequence

from adapters.memory.clock import SystemClock
from adapters.redis.client import HOT_SECONDS
from adapters.redis.connection import connector
from adapters.redis.limiter import OutagePolicy, RedisLimiter
from adapters.redis.resp import Argument, Reply
from adapters.redis.script import Script
from domain.model import Caller, Cost, Tier
from tests.redis_cases import Patient, unheard, untimed

TIERS = {"default": Tier(60, 60_000, 1), "premium": Tier(1_500, 25_000, 1)}
CALLERS = [Caller("acme"), Caller("other"), Caller("rich", "premium"), Caller("wide", "premium")]
TASKS_PER_CALLER = 13
LAST_LINE = "return reply"
LOG = (
    "if passes then redis.call('RPUSH', 'test:' .. KEYS[1], string.format('%.0f %.0f %.0f', now, cost_r, cost_t)) end\n"
)


class SkewedClock(SystemClock):
    """The system's, set wrong."""

    def __init__(self, skew: float) -> None:
        self._skew = skew

    def monotonic(self) -> float:
        return super().monotonic() + self._skew

    def time(self) -> float:
        return super().time() + self._skew


class LoggingRedisClient(Patient):
    """Each script that admits also writes down its time and cost, in the same step."""

    async def evalsha(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Argument] = (),
        *,
        timeout: float = HOT_SECONDS,
        read: bool = False,
    ) -> Reply:
        head, line, rest = script.text.decode().partition(LAST_LINE)
        logged = Script(script.name, head + LOG + line + rest)
        return await super().evalsha(logged, keys, args, timeout=timeout, read=read)


async def flood(limiter: RedisLimiter, caller: Caller, until: float) -> int:
    """Asks without a pause; how often it was admitted."""
    admitted, number, loop = 0, 0, asyncio.get_running_loop()
    while loop.time() < until:
        number += 1
        admitted += (await limiter.admit(caller, Cost(1 + number % 2, number % 40))).admitted
        await asyncio.sleep(0)
    return admitted


async def main(url: str, seconds: float, skew: float) -> None:
    """Prints how much was admitted in all."""
    client = LoggingRedisClient(connector(url), untimed, unheard)
    await client.start()
    limiter = RedisLimiter(client, SkewedClock(skew), TIERS, OutagePolicy.DENY, replicas=1)
    until = asyncio.get_running_loop().time() + seconds
    admitted = await asyncio.gather(
        *(flood(limiter, caller, until) for caller in CALLERS for _ in range(TASKS_PER_CALLER))
    )
    await client.aclose()
    print(sum(admitted))  # noqa: T201 - read by the test


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
