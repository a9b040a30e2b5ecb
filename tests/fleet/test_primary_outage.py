"""The primary is down, or flaps, while the fleet is asked all the time: clients see nothing of it (R1, R3, B1).

HEADGATE_FLEET_SECONDS above 10: an outage of a minute, and a minute of flapping.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.harness import Fleet, running_fleet
from tests.fleet.http_client import call
from tests.redis_server import RedisServer

REPLICAS, A_SECOND, COOLDOWN = 3, 60, 0.5
RESERVE = 10
"""Retries that a process may make beyond its tenth, while there is little traffic."""
ENVIRON = {
    "CACHE_ENABLED": "false",
    "CB_RECOVERY_TIMEOUT": str(COOLDOWN),
    "RETRY_BASE_DELAY": "0.05",
    "STREAM_DRAIN_TIMEOUT": "0",
}
MODELS = ("down-4", "down-60", "flaps")


@pytest.fixture
def routed(tmp_path: Path) -> Iterator[Fleet]:
    config = tmp_path / "headgate.toml"
    rows = [f'"{model}" = ["openai/{model}", "openai/{model}--ok"]' for model in MODELS]
    config.write_text("[routes]\n" + "\n".join(rows) + "\n")
    environ = {**ENVIRON, "HEADGATE_CONFIG": str(config)}
    with RedisServer() as redis, running_fleet(redis, count=REPLICAS, environ=environ) as fleet:
        yield fleet


async def offered(fleet: Fleet, model: str, seconds: float, rng: random.Random) -> int:
    """Asks for `model` at random replicas, so many times a second; each answer must be whole."""

    async def one(number: int) -> None:
        body = {"model": model, "prompt": f"{number}", "max_tokens": 3}
        answer, data = await call(fleet.url(rng.randrange(REPLICAS)), "POST", "/v1/streams", body)
        assert answer.status == 200, data
        assert b"event: complete" in data, data
        assert [data.count(b' tok%d"' % token) for token in (1, 2, 3)] == [1, 1, 1], data

    calls: list[asyncio.Task[None]] = []
    start = time.monotonic()
    while (due := start + len(calls) / A_SECOND) < start + seconds:
        await asyncio.sleep(due - time.monotonic())
        calls.append(asyncio.create_task(one(len(calls))))
    await asyncio.gather(*calls)
    return len(calls)


async def extra_calls(fleet: Fleet, model: str, requests: int) -> int:
    """How many upstream calls there were beside one for each request."""
    return int(sum([(await fleet.seen(name))["requests"] for name in (model, f"{model}--ok")])) - requests


async def test_an_outage_is_not_seen_and_the_primary_is_back_within_a_cooldown_r3(
    routed: Fleet, rng: random.Random, seconds: float
) -> None:
    """R1, R3, B1, B4: no client error, at most a tenth more calls, and all is as before within a cooldown."""
    down = 60 if seconds > 10 else 4
    model = f"down-{down}"
    # Cooldowns double: the last one is about as long as the outage was.
    requests = await offered(routed, model, 2.3 * down + 2, rng)
    extra = await extra_calls(routed, model, requests)
    times = (await routed.seen(model))["times"]
    failed = [at for at in times if at - times[0] < down]
    back = times[len(failed)]
    print(  # noqa: T201
        f"\n{requests} requests, {len(failed)} calls of the dead primary, {extra} extra calls, "
        f"back {back - times[0] - down:.1f} s after its recovery"
    )
    assert extra <= requests / 10 + RESERVE * REPLICAS
    assert back - failed[-1] <= 1.2 * max(COOLDOWN, failed[-1] - failed[-2]) * 2 + 1.0
    after = [at for at in times if at > back + 1.0]
    assert len(after) > 0.8 * A_SECOND * (times[-1] - back - 1.0)


async def test_a_flapping_primary_is_not_seen_and_not_hammered_r3(
    routed: Fleet, rng: random.Random, seconds: float
) -> None:
    """R1, R3: two seconds down, two seconds up, and so on."""
    requests = await offered(routed, "flaps", 60 if seconds > 10 else 8, rng)
    extra = await extra_calls(routed, "flaps", requests)
    print(f"\n{requests} requests of a primary that flaps, {extra} extra calls")  # noqa: T201
    assert extra <= requests / 10 + RESERVE * REPLICAS
