"""A provider is dead: the fleet notices once, probes with one request at a time, and no loss of Redis reopens the way.

The issue's figure is 20 processes with 50 tasks each: HEADGATE_FLEET_PROCESSES=20 HEADGATE_FLEET_TASKS=50.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import call
from tests.redis_server import RedisServer

PROCESSES = int(os.environ.get("HEADGATE_FLEET_PROCESSES", "4"))
TASKS = int(os.environ.get("HEADGATE_FLEET_TASKS", "20"))
THRESHOLD = 3
ENVIRON = {
    "CB_FAILURE_THRESHOLD": str(THRESHOLD),
    "CB_RECOVERY_TIMEOUT": "0.5",
    "RETRY_MAX_ATTEMPTS": "1",
    "STREAM_FIRST_EVENT_TIMEOUT_LAST": "0.4",
}
HEARD_SECONDS = 1.0

PROBED_SECONDS = 30.0
"""Long enough for a few doubled cooldowns after Redis has lost its data."""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with RedisServer() as redis, running_fleet(redis, count=PROCESSES, environ=ENVIRON) as fleet:
        yield fleet


async def ask(fleet: Fleet, number: int, model: str, prompt: str) -> str:
    """How one request ended: the code of its error."""
    body = {"model": f"openai/{model}", "prompt": prompt}
    answer, data = await call(fleet.url(number), "POST", "/v1/streams", body)
    assert answer.status in {502, 503, 504}, data
    return str(json.loads(data)["code"])


async def states(fleet: Fleet, model: str) -> list[str]:
    """What each replica says of the target."""

    async def state(number: int) -> str:
        _, data = await call(fleet.url(number), "GET", "/v1/providers")
        rows = {row["target"]: row["state"] for row in json.loads(data)["targets"]}
        return str(rows.get(f"openai/{model}", "closed"))

    return list(await asyncio.gather(*(state(number) for number in range(PROCESSES))))


async def open_at_one(fleet: Fleet, model: str) -> None:
    """One replica finds it dead, with one call after the other; then all know (B1)."""
    for attempt in range(THRESHOLD):
        assert await ask(fleet, 0, model, f"found dead {attempt}") != "circuit_open"

    async def all_know() -> bool:
        return "closed" not in await states(fleet, model)

    began = time.monotonic()
    await eventually(all_know, HEARD_SECONDS)
    print(f"\n{model}: known to {PROCESSES} processes after {time.monotonic() - began:.2f} s")  # noqa: T201


async def hammer(fleet: Fleet, model: str, until: asyncio.Event) -> Counter[str]:
    """All tasks of all clients ask until told to end."""
    codes: Counter[str] = Counter()

    async def task(number: int) -> None:
        asked = 0
        while not until.is_set():
            codes[await ask(fleet, number, model, f"{number} {asked}")] += 1
            asked += 1
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        for number in range(PROCESSES * TASKS):
            group.create_task(task(number))
    return codes


async def test_one_probe_at_a_time_whatever_redis_forgets_b1_b3_b6(fleet: Fleet, seconds: float) -> None:
    """B1, B3, B6: a provider that never answers; FLUSHALL again and again while everybody asks."""
    await open_at_one(fleet, "silent")
    until = asyncio.Event()
    hammering = asyncio.create_task(hammer(fleet, "silent", until))
    for _ in range(max(3, round(seconds))):
        await asyncio.sleep(0.5)
        await fleet.redis.command("FLUSHALL")
        assert "closed" not in await states(fleet, "silent")
    before = (await fleet.seen("silent"))["requests"]

    async def probed() -> bool:
        return bool((await fleet.seen("silent"))["requests"] >= before + 2)

    await eventually(probed, PROBED_SECONDS)
    assert "closed" not in await states(fleet, "silent")
    until.set()
    codes = await hammering
    seen = await fleet.seen("silent")
    assert seen["most_open"] == 1
    probes = seen["requests"] - THRESHOLD
    assert codes.keys() <= {"circuit_open", "provider_timeout"}
    assert codes["provider_timeout"] == probes
    assert probes < 20
    print(f"{codes.total()} requests, {probes} probes, {seen['most_open']} at once")  # noqa: T201


async def test_a_restart_without_data_closes_nothing_b6(fleet: Fleet) -> None:
    """B6: while Redis is gone each replica may probe by itself; none closes."""
    await open_at_one(fleet, "500")
    until = asyncio.Event()
    hammering = asyncio.create_task(hammer(fleet, "500", until))
    fleet.redis.kill()
    for _ in range(4):
        await asyncio.sleep(0.25)
        assert "closed" not in await states(fleet, "500")
    fleet.redis.start()
    for _ in range(8):
        await asyncio.sleep(0.25)
        assert "closed" not in await states(fleet, "500")
    until.set()
    codes = await hammering
    probes = (await fleet.seen("500"))["requests"] - THRESHOLD
    assert probes <= 5 * PROCESSES
    assert codes["circuit_open"] > probes


async def test_an_operators_hand_counts_everywhere_b1(fleet: Fleet) -> None:
    """B1: also where the target does well; what one replica is told all know within a second."""
    target = "by-hand--ok"
    by_hand = f"/v1/providers/openai/{target}/breaker"

    async def answered(number: int) -> int:
        body = {"model": f"openai/{target}", "prompt": f"{number} {time.monotonic()}"}
        answer, _ = await call(fleet.url(number), "POST", "/v1/streams", body)
        return answer.status

    async def all_say(state: str) -> bool:
        return set(await states(fleet, target)) == {state}

    for number in range(PROCESSES):
        assert await answered(number) == 200
    for replica, state, status in ((0, "open", 503), (PROCESSES - 1, "closed", 200)):
        answer, data = await call(fleet.url(replica), "POST", by_hand, {"state": state})
        assert answer.status == 200, data
        await eventually(lambda state=state: all_say(state), HEARD_SECONDS)  # type: ignore[misc]
        before = (await fleet.seen(target))["requests"]
        assert [await answered(number) for number in range(PROCESSES)] == [status] * PROCESSES
        assert (await fleet.seen(target))["requests"] == before + (PROCESSES if status == 200 else 0)
