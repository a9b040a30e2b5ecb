"""Four times what the fleet can do: everything is served, or refused at once before any work (Q1, Q3).

HEADGATE_FLEET_SECONDS is how long it is offered; `pytest -s` shows the waits.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fleet.harness import Fleet, running_fleet
from tests.fleet.http_client import ask
from tests.fleet.measures import percentile, spread
from tests.fleet.readers import blocks, is_terminal
from tests.redis_server import RedisServer

SLOTS, WAITING, TOKENS, TOKEN_SECONDS, TIMES = 12, 10, 30, 0.02, 4
ANSWER_SECONDS = TOKENS * TOKEN_SECONDS
ANSWER = "".join(f" tok{number}" for number in range(1, TOKENS + 1))
ENVIRON = {"STREAM_MAX_CONCURRENT": str(SLOTS), "CACHE_ENABLED": "false", "STREAM_DRAIN_TIMEOUT": "0"}
"""Room for 20 answers a second."""
REFUSAL_SECONDS = 0.02


@pytest.fixture
def patient() -> Iterator[Fleet]:
    with RedisServer() as redis, running_fleet(redis, environ={**ENVIRON, "QUEUE_MAX_WAIT": "3600"}) as fleet:
        yield fleet


@pytest.fixture
def small() -> Iterator[Fleet]:
    environ = {**ENVIRON, "QUEUE_MAX_DEPTH": str(2 * WAITING)}  # of which one caller may have half
    with RedisServer() as redis, running_fleet(redis, environ=environ) as fleet:
        yield fleet


@dataclass(frozen=True)
class Fate:
    """How one request went: when its answer began, in seconds from its start, and what the answer was."""

    status: int
    began: float
    text: str
    retry_after: str | None


async def one(fleet: Fleet, number: int, seconds: float) -> Fate:
    body = {"model": "openai/ok-slow", "prompt": f"{number}", "max_tokens": TOKENS}
    start, began, received = time.monotonic(), 0.0, b""
    async with ask(fleet.url(number), "POST", "/v1/streams", body, seconds=seconds) as answer:
        async for piece in answer.pieces():
            received += piece
            began = began or (time.monotonic() - start if b"event: delta" in received else 0.0)
        retry_after = answer.headers.get("retry-after")
    if answer.status != 200:
        return Fate(answer.status, time.monotonic() - start, "", retry_after)
    events = blocks(received)
    assert is_terminal(events[-1]), events[-1]
    deltas = [json.loads(block.partition(b"data: ")[2]) for block in events if b"event: delta" in block]
    return Fate(200, began, "".join(delta["text"] for delta in deltas), None)


async def test_four_times_the_capacity_is_served_without_a_single_refusal_q3(patient: Fleet, seconds: float) -> None:
    """Q3: with room in the queue nothing is refused, and every answer is whole."""
    offered = int(seconds * TIMES * SLOTS / ANSWER_SECONDS)
    patience = 2 * TIMES * seconds + 60
    calls = []
    for number in range(offered):
        calls.append(asyncio.create_task(one(patient, number, patience)))
        await asyncio.sleep(seconds / offered)
    fates = await asyncio.gather(*calls)
    assert {(fate.status, fate.text) for fate in fates} == {(200, ANSWER)}
    assert (await patient.seen("ok-slow"))["requests"] == offered
    waits = [fate.began for fate in fates]
    ideal = offered * ANSWER_SECONDS / SLOTS
    print(f"\n{offered} requests in {seconds:g} s, {ideal:.1f} s of work: {spread(waits)}")  # noqa: T201
    assert percentile(waits, 99) < 2 * TIMES * seconds + 10


async def test_what_a_full_queue_refuses_is_refused_at_once_and_before_any_work_q1(small: Fleet, slack: float) -> None:
    """Q1: with a status and a Retry-After, in under 20 ms; the upstream never hears of it."""
    fates = await asyncio.gather(*(one(small, number, 60) for number in range(120)))
    refused = [fate for fate in fates if fate.status != 200]
    assert len(refused) == 120 - SLOTS - WAITING
    assert {(fate.status, fate.retry_after) for fate in refused} == {(503, "1")}
    assert (await small.seen("ok-slow"))["requests"] == 120 - len(refused)
    for number in range(SLOTS + WAITING):
        await small.begin(number, f"long {number}", max_tokens=1000)
    late = [await one(small, number, 60) for number in range(100)]
    assert {fate.status for fate in late} == {503}
    quick = [fate.began for fate in late]
    print(f"\nrefusals, one after the other: {spread(quick)}")  # noqa: T201
    assert percentile(quick, 50) < REFUSAL_SECONDS + slack
