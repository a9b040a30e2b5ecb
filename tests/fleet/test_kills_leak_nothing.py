"""Requests of every fate while workers are killed: each ends once, and nothing stays taken (L6, Q3, Q8).

HEADGATE_FLEET_SECONDS above 10 makes 10,000 requests of it.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import ask
from tests.fleet.readers import blocks, is_terminal
from tests.fleet.worker import count, enlisted, worker
from tests.redis_server import RedisServer

SLOTS, AT_ONCE, WORKERS = 12, 40, 2
MODELS = ("ok-slow", "ok-slow", "ok", "ok", "500", "500-once", "no-finish", "late")
ENVIRON = {
    "STREAM_MAX_CONCURRENT": str(SLOTS),
    "RETRY_BASE_DELAY": "0.05",
    "RETRY_MAX_ATTEMPTS": "2",
    "CB_FAILURE_THRESHOLD": "10000",
    "CACHE_ENABLED": "false",
}
KEYS = ("messages", "ring", "taken", "due", "deficits")
KNOWN = {"complete", "left", "producer_lost", "provider_unavailable", "upstream_truncated", "failed"}
LEASE, LOOK = 15.0, 5.0


@pytest.fixture
def narrow() -> Iterator[Fleet]:
    with RedisServer() as redis, running_fleet(redis, environ=ENVIRON) as fleet:
        yield fleet


async def one_request(fleet: Fleet, number: int, rng: random.Random) -> str:
    """Its outcome as the client knows it: a terminal event, `left`, or `unended`, which must not be."""
    body = {
        "model": f"openai/{rng.choice(MODELS)}",
        "prompt": f"{number} {rng.random()}",
        "max_tokens": rng.randint(1, 20),
    }
    leaves_after = rng.choice([None, None, None, rng.randint(1, 2000)])
    async with ask(fleet.url(number), "POST", "/v1/streams", body, {"X-Stream-Grace": "0"}) as answer:
        if answer.status != 200:
            return str(json.loads(await answer.whole())["code"])
        if leaves_after is not None:
            await answer.read(leaves_after)
            return "left"
        ends = [block for block in blocks(await answer.whole()) if is_terminal(block)]
    if len(ends) != 1:
        return "unended"
    name = ends[0].split(b"\n")[1].removeprefix(b"event: ").decode()
    return name if name != "error" else ends[0].partition(b'"code":"')[2].partition(b'"')[0].decode()


async def kill_now_and_then(fleet: Fleet, rng: random.Random, pause: float) -> None:
    """Workers come, work for a while, and are killed; until it is cancelled."""
    while True:
        with worker(fleet, **ENVIRON) as process:
            await enlisted(fleet)
            await asyncio.sleep(rng.uniform(0.2, pause))
            process.kill()


async def test_whatever_happens_each_request_ends_once_and_nothing_is_left_taken_l6_q3(
    narrow: Fleet, rng: random.Random, seconds: float
) -> None:
    """L6, Q3, Q8: cancels, errors, and kill -9 of workers at random moments."""
    requests = 10_000 if seconds > 10 else 120
    waiting = asyncio.Semaphore(AT_ONCE)

    async def bounded(number: int) -> str:
        async with waiting:
            return await one_request(narrow, number, rng)

    killers = [asyncio.create_task(kill_now_and_then(narrow, rng, 3.0)) for _ in range(WORKERS)]
    outcomes = Counter(await asyncio.gather(*(bounded(number) for number in range(requests))))
    for killer in killers:
        killer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killer
    print(dict(outcomes))  # noqa: T201 - the figures of a long run
    assert set(outcomes) <= KNOWN, outcomes
    assert outcomes.total() == requests
    assert outcomes["complete"] > requests / 4

    async def at_rest() -> bool:
        now = [await count(narrow, "EXISTS", f"headgate:queue:{key}") for key in KEYS]
        held = await count(narrow, "EXISTS", "headgate:slots:all")
        jobs = await narrow.redis.command("KEYS", "headgate:queue:job:*")
        gauges = [await replica.metrics() for replica in narrow.replicas]
        here = [one["headgate_open_generations"] + one["headgate_slots_in_use"] for one in gauges]
        return not any(now) and not held and "job:" not in jobs and not any(here)

    await eventually(at_rest, LEASE + LOOK + 5)
