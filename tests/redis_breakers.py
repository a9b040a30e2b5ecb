"""Lets time pass for breakers that Redis keeps, beside the keys of `tests.redis_cases.later`."""

from adapters.redis.client import RedisClient
from adapters.redis.probe_leases import STATES
from adapters.redis.script import Script
from tests.redis_cases import later

_LATER = Script(
    "breakers_later",
    """
    local rows = redis.call('HGETALL', KEYS[1])
    for i = 1, #rows, 2 do
        local head, till, objected, rest = string.match(rows[i + 1], '^(%d+ %d) (%d+) (%d+) (.*)$')
        till, objected = till - ARGV[1], math.max(objected - ARGV[1], 0)
        redis.call('HSET', KEYS[1], rows[i], table.concat({head, till, objected, rest}, ' '))
    end
    """,
)


async def breakers_later(client: RedisClient, seconds: float) -> None:
    """As if that time had passed in Redis."""
    await later(client, seconds)
    await client.evalsha(_LATER, (STATES,), [round(seconds * 1000)], timeout=5.0)
