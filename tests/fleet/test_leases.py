"""Leases of the limiter in real processes: given back at the end; one is all that a crash strands (L3)."""

import time

import pytest

from tests.fleet.harness import running_fleet
from tests.redis_server import RedisServer

LEASE, PER_MINUTE, CALLS = 40, 120, 3
ENVIRON = {
    "RATE_LIMIT_ENABLED": "true",
    "RATE_LIMIT_REQUESTS_PER_MINUTE": str(PER_MINUTE),
    "RATE_LIMIT_TOKENS_PER_MINUTE": "1_000_000_000",
    "RATE_LIMIT_LEASE_REQUESTS": str(LEASE),
}
STATE = "headgate:limit:default:{ip:127.0.0.1}"


async def missing(redis: RedisServer) -> float:
    """Requests that were debited and have not come back."""
    at, whole, part, *_ = map(int, (await redis.command("GET", STATE)).split())
    return whole + part / 60e6 - (time.time() - at / 1e6) * PER_MINUTE / 60


@pytest.mark.parametrize("crash", [False, True])
async def test_what_a_process_holds_goes_back_when_it_ends_and_is_a_lease_at_most_when_it_dies(*, crash: bool) -> None:
    with RedisServer() as redis, running_fleet(redis, count=1, environ=ENVIRON) as fleet:
        began = time.monotonic()
        for number in range(CALLS):
            await fleet.begin(0, f"lease {number}", "ok", max_tokens=1)
        held = await missing(redis)
        took = time.monotonic() - began
        replica = fleet.replicas[0].process
        if crash:
            replica.kill()
        else:
            replica.terminate()
        replica.wait(timeout=20)
        left = await missing(redis)
        assert left <= CALLS + LEASE * crash
        if took < 0.5:  # all within the lease's life, on a machine that is not too busy
            assert held > LEASE
            assert not crash or left > LEASE - 10
