"""What a fleet holds: slots, work, readers, sockets, connections, and keys that would stay for ever."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from operator import le

import pytest

from tests.fleet.harness import Fleet, eventually

GAUGES = (
    "headgate_slots_in_use",
    "headgate_open_generations",
    "headgate_queue_depth",
    "headgate_followed_streams",
    "headgate_redis_connections",
)
REST_SECONDS = 10.0
LASTING = ("headgate:secret", "headgate:process:")
"""Keys that need no end: one of the fleet, one of each process."""


@dataclass(frozen=True)
class Footprint:
    """Of all replicas together."""

    gauges: dict[str, list[float]]
    descriptors: list[int]
    redis_clients: int
    lasting_keys: list[str]
    """Keys without an end, but those of LASTING."""

    def within(self, before: "Footprint") -> bool:
        """Whether it holds no more than before. Less is no leak: a pool fills again when it is used."""
        now, then = ([*chain(*one.gauges.values()), *one.descriptors, one.redis_clients] for one in (self, before))
        return all(map(le, now, then)) and set(self.lasting_keys) <= set(before.lasting_keys)


async def footprint(fleet: Fleet) -> Footprint:
    """As it is now."""
    metrics = await asyncio.gather(*(replica.metrics() for replica in fleet.replicas))
    script = """
    local found = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
        if redis.call('PTTL', key) == -1 then found[#found + 1] = key end
    end
    return cjson.encode(found)
    """
    keys = json.loads(await fleet.redis.command("EVAL", script, 0))
    return Footprint(
        {name: [one[name] for one in metrics] for name in GAUGES},
        [replica.descriptors(fleet.upstream) for replica in fleet.replicas],
        await fleet.redis.clients(),
        sorted(key for key in keys if not key.startswith(LASTING)),
    )


@asynccontextmanager
async def returns_to_rest(fleet: Fleet, pool_min: int = 10) -> AsyncIterator[None]:
    """What the block takes is given back within REST_SECONDS of its end. `pool_min` is the replicas' REDIS_POOL_MIN."""
    before = await _settled(fleet, pool_min)
    yield
    after = before

    async def same() -> bool:
        nonlocal after
        after = await footprint(fleet)
        return after.within(before)

    try:
        await eventually(same, REST_SECONDS)
    except TimeoutError:
        pytest.fail(f"{after}\nbefore: {before}")


async def _settled(fleet: Fleet, pool_min: int) -> Footprint:
    """Its footprint once that stays the same, with the connections that are opened in the background."""
    last = await footprint(fleet)

    async def still() -> bool:
        nonlocal last
        now = await footprint(fleet)
        same, last = now == last, now
        return same and min(now.gauges["headgate_redis_connections"]) >= pool_min

    await eventually(still, REST_SECONDS)
    return last
