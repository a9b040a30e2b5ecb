"""Limits through the doors of eight replicas: two hundred callers, and no window of any holds too much (L1, L2)."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.fleet.harness import Fleet, running_fleet
from tests.fleet.http_client import call
from tests.redis_server import RedisServer

REPLICAS, CALLERS, A_MINUTE = 8, 200, 6
RATE = A_MINUTE / 60
ENVIRON = {
    "RATE_LIMIT_ENABLED": "true",
    "RATE_LIMIT_REQUESTS_PER_MINUTE": str(A_MINUTE),
    "HEADGATE_TRUSTED_PROXIES": "127.0.0.1",
    "CACHE_ENABLED": "false",
    "STREAM_DRAIN_TIMEOUT": "0",
}


@pytest.fixture
def eight() -> Iterator[Fleet]:
    with RedisServer() as redis, running_fleet(redis, count=REPLICAS, environ=ENVIRON) as fleet:
        yield fleet


async def asked(fleet: Fleet, replica: int, caller: int) -> tuple[int, float, float, int]:
    """One request: its status, when it was sent and answered, and its Retry-After."""
    headers = {"Prefer": "respond-async", "X-Forwarded-For": f"10.0.1.{caller}"}
    sent = time.monotonic()
    answer, _ = await call(
        fleet.url(replica), "POST", "/v1/streams", {"model": "openai/ok", "prompt": "hi", "max_tokens": 1}, headers
    )
    return answer.status, sent, time.monotonic(), int(answer.headers.get("retry-after", 0))


async def decided_alone(fleet: Fleet, replica: int) -> int:
    """How many of its decisions the policy made, as Redis gave none in time (L5)."""
    _, page = await call(fleet.url(replica), "GET", "/metrics")
    (count,) = re.findall(rb"^headgate_limiter_decided_alone (\S+)$", page, re.MULTILINE)
    return int(float(count))


def too_many(admitted: list[tuple[float, float]]) -> bool:
    """Whether some of them, sent and answered within one window, are more than its burst and rate."""
    for sent, _ in admitted:
        inside = sorted(end for start, end in admitted if start >= sent)
        if any(count > A_MINUTE + RATE * (end - sent) for count, end in enumerate(inside, 1)):
            return True
    return False


def test_the_measure_sees_one_too_many() -> None:
    assert not too_many([(0.0, 0.1)] * A_MINUTE)
    assert too_many([(0.0, 0.1)] * (A_MINUTE + 1))
    assert not too_many([*[(0.0, 0.1)] * A_MINUTE, (9.0, 10.0)])
    assert too_many([*[(0.0, 0.1)] * A_MINUTE, (9.0, 9.9)])


async def test_eight_replicas_admit_together_what_one_bucket_holds_l1(
    eight: Fleet, rng: random.Random, seconds: float
) -> None:
    """L1: every window of every caller, and not one less than it could have had; but for what a Redis that this machine
    held up for longer than a decision may wait left to the policy."""
    until, gate = time.monotonic() + max(4.0, seconds), asyncio.Semaphore(100)

    async def flood(caller: int) -> list[tuple[int, float, float, int]]:
        answers: list[tuple[int, float, float, int]] = []
        while len(answers) <= A_MINUTE or time.monotonic() < until:
            async with gate:
                answers.append(await asked(eight, rng.randrange(REPLICAS), caller))
        return answers

    rows = await asyncio.gather(*(flood(caller) for caller in range(CALLERS)))
    alone = sum([await decided_alone(eight, replica) for replica in range(REPLICAS)])
    assert Counter(status for row in rows for status, *_ in row).keys() == {202, 429}
    admitted = [[(sent, answered) for status, sent, answered, _ in row if status == 202] for row in rows]
    assert sum(len(row) < A_MINUTE or too_many(row) for row in admitted) <= alone
    print(f"\n{sum(map(len, rows))} requests of {CALLERS} callers at {REPLICAS} replicas")  # noqa: T201


async def test_retry_after_less_a_second_is_refused_and_retry_after_passes_l2(eight: Fleet) -> None:
    """L2: at whichever replica."""
    for replica in range(A_MINUTE):
        status, *_ = await asked(eight, replica, 250)
        assert status == 202
    status, _, answered, wait = await asked(eight, 6, 250)
    assert (status, wait) == (429, 10)
    await asyncio.sleep(wait - 1 - 0.5)
    assert (await asked(eight, 7, 250))[0] == 429
    await asyncio.sleep(answered + wait - time.monotonic())
    assert (await asked(eight, 0, 250))[0] == 202
