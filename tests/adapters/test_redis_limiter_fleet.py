"""Eight processes on one Redis, four hundred callers at once: no window holds more than its burst and rate."""

import asyncio
import sys

from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from domain.model import Caller
from tests.adapters.redis_limiter_process import CALLERS, TIERS
from tests.redis_cases import unheard, untimed
from tests.redis_server import RedisServer

SECONDS = 3.0
SKEWS = (0.0, 3_600.0, -3_600.0, 86_400.0, 1.0, -0.25, 7_200.0, -60.0)
MINUTE_US = 60_000_000


def most_above_rate(admitted: list[tuple[int, int]], limit: int) -> int:
    """The most that any window held beyond its rate, in units times MINUTE_US: must not be above the burst's."""
    most = level = 0
    last = admitted[0][0]
    for at, cost in admitted:
        level = max(0, level - limit * (at - last)) + cost * MINUTE_US
        most, last = max(most, level), at
    return most


def test_the_measure_sees_one_unit_too_many() -> None:
    burst = [(0, 1)] * 60
    assert most_above_rate([*burst, (1_000_000, 1)], 60) == 60 * MINUTE_US
    assert most_above_rate([*burst, (999_999, 1)], 60) > 60 * MINUTE_US


async def flood(server: RedisServer) -> int:
    """How much the processes say that was admitted."""
    command = (sys.executable, "-m", "tests.adapters.redis_limiter_process", server.url, str(SECONDS))
    processes = [
        await asyncio.create_subprocess_exec(*command, str(skew), stdout=asyncio.subprocess.PIPE) for skew in SKEWS
    ]
    try:
        async with asyncio.timeout(60.0):
            outputs = await asyncio.gather(*(process.communicate() for process in processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return sum(int(output) for output, _ in outputs)


async def read_logs(server: RedisServer) -> dict[Caller, list[tuple[int, int, int]]]:
    """What each caller was admitted: time in us, requests, tokens."""
    client = RedisClient(connector(server.url), untimed, unheard, pool_min=1)
    await client.start()
    logs = {}
    for caller in CALLERS:
        key = f"test:headgate:limit:{caller.tier}:{{{caller.tenant}}}"
        lines = await client.execute_bulk("LRANGE", key, 0, -1, timeout=5.0)
        assert isinstance(lines, list)
        rows = [[int(number) for number in line.split()] for line in lines if isinstance(line, bytes)]
        logs[caller] = [(at, requests, tokens) for at, requests, tokens in rows]
    await client.aclose()
    return logs


async def test_eight_processes_admit_together_what_one_bucket_holds(server: RedisServer) -> None:
    """L1, fault 38: every window of every caller, by the time of Redis, without rounding."""
    total = await flood(server)
    logs = await read_logs(server)
    assert sum(len(rows) for rows in logs.values()) == total
    for caller, rows in logs.items():
        tier = TIERS[caller.tier]
        requests = most_above_rate([(at, cost) for at, cost, _ in rows], tier.requests_per_minute)
        tokens = most_above_rate([(at, cost) for at, _, cost in rows], tier.tokens_per_minute)
        assert requests <= tier.requests_per_minute * MINUTE_US
        assert tokens <= tier.tokens_per_minute * MINUTE_US
        # And not by refusing what could pass: less than the largest call was left of one of the two.
        spare_requests = tier.requests_per_minute * MINUTE_US - requests
        spare_tokens = tier.tokens_per_minute * MINUTE_US - tokens
        assert spare_requests < 2 * MINUTE_US or spare_tokens < 40 * MINUTE_US
