"""The process that probes dies with the probe: its lease ends, and another probes (B3)."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import call
from tests.redis_server import RedisServer

FIRST_EVENT, MARGIN, THRESHOLD = 2.0, 5.0, 2
ENVIRON = {
    "CB_FAILURE_THRESHOLD": str(THRESHOLD),
    "CB_RECOVERY_TIMEOUT": "0.5",
    "RETRY_MAX_ATTEMPTS": "1",
    "STREAM_FIRST_EVENT_TIMEOUT": str(FIRST_EVENT),
    "STREAM_FIRST_EVENT_TIMEOUT_LAST": str(FIRST_EVENT),
    "STREAM_DRAIN_TIMEOUT": "0",
}
BODY = {"model": "openai/silent"}


@pytest.fixture
def pair() -> Iterator[Fleet]:
    with RedisServer() as redis, running_fleet(redis, count=2, environ=ENVIRON) as fleet:
        yield fleet


async def code(fleet: Fleet, replica: int, prompt: str) -> str:
    _, data = await call(fleet.url(replica), "POST", "/v1/streams", {**BODY, "prompt": prompt})
    return str(json.loads(data)["code"])


async def test_a_lost_prober_frees_the_probe_b3(pair: Fleet) -> None:
    """B3: within the lease, the first event's timeout and five seconds; never two at once."""
    for number in range(THRESHOLD):
        assert await code(pair, 0, f"finds it dead {number}") == "provider_timeout"

    async def known() -> bool:
        _, data = await call(pair.url(1), "GET", "/v1/providers")
        return any(row["target"] == "openai/silent" for row in json.loads(data)["targets"])

    async def probed() -> bool:
        await pair.begin(0, f"the probe, if it is time {time.monotonic()}", "silent")
        return bool((await pair.seen("silent"))["requests"] == THRESHOLD + 1)

    await eventually(known)
    await eventually(probed)
    pair.replicas[0].process.kill()
    killed, shut_out = time.monotonic(), 0
    while await code(pair, 1, f"again {shut_out}") == "circuit_open":
        shut_out += 1
        assert time.monotonic() < killed + FIRST_EVENT + MARGIN + 3
    assert shut_out > 10
    assert time.monotonic() - killed > 2.0
    seen = await pair.seen("silent")
    assert (seen["requests"], seen["most_open"]) == (THRESHOLD + 2, 1)
