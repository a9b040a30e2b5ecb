"""Requests of every fate while workers are killed: each ends once, and nothing stays taken (L6, Q3, Q8).

HEADGATE_FLEET_SECONDS above 10 makes 10,000 requests of it.
"""

import asyncio
import contextlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.fleet.harness import Fleet, Replica, eventually, running_fleet
from tests.fleet.http_client import ask, call
from tests.fleet.readers import blocks, is_terminal
from tests.fleet.worker import count, enlisted, recorded, request_lines, worker
from tests.redis_server import RedisServer

SLOTS, AT_ONCE, WORKERS = 12, 40, 2
UNRECORDED = "unrecorded"
MODELS = ("ok-slow", "ok-slow", "ok", "ok", "500", "500-once", "no-finish", "late")
ENVIRON = {
    "STREAM_MAX_CONCURRENT": str(SLOTS),
    "RETRY_BASE_DELAY": "0.05",
    "RETRY_MAX_ATTEMPTS": "2",
    "CB_FAILURE_THRESHOLD": "10000",
    "CACHE_ENABLED": "false",
    "LOG_LEVEL": "info",
}
KEYS = ("messages", "ring", "taken", "due", "deficits")
KNOWN = {
    "complete": {"served"},
    "provider_unavailable": {"failed"},
    "upstream_truncated": {"failed"},
    "failed": {"failed"},
    "left": {"served", "failed", "cancelled", UNRECORDED},
    "producer_lost": {UNRECORDED},
}
"""Each end that a client may see, and what may be recorded of it. What a killed worker was in the middle of is nobody's
to record: it is what arrivals and outcomes differ by (docs/overload.md)."""
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
    headers = {"X-Stream-Grace": "0", "X-Thread-ID": f"request-{number}"}
    async with ask(fleet.url(number), "POST", "/v1/streams", body, headers) as answer:
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


async def kill_now_and_then(fleet: Fleet, rng: random.Random, pause: float, log: Path, killed: list[int]) -> None:
    """Workers come, work for a while, and are killed; until it is cancelled."""
    while True:
        with worker(fleet, log, **ENVIRON) as process:
            await enlisted(fleet)
            await asyncio.sleep(rng.uniform(0.2, pause))
            process.kill()
            killed.append(process.pid)


async def check_outcomes(fleet: Fleet, seen: Sequence[str], logs: Sequence[Path], kills: int) -> None:
    """Q3: what clients saw is what was recorded, each request once; and the counters of those who live say the same."""
    by_replicas = recorded(*(replica.log() for replica in fleet.replicas), by="outcome")
    counted = Counter[str]()
    for replica in fleet.replicas:
        counted += await requests_total(replica)
    assert counted == by_replicas
    everywhere = [replica.log() for replica in fleet.replicas] + [log.read_text() for log in logs]
    known = {str(line["thread_id"]): str(line["outcome"]) for line in request_lines(*everywhere)}
    assert set(recorded(*everywhere, by="thread_id").values()) == {1}
    outcomes = [(end, known.pop(f"request-{number}", UNRECORDED)) for number, end in enumerate(seen)]
    assert not known  # nothing is recorded of what nobody asked for
    wrong = [(end, outcome) for end, outcome in outcomes if outcome not in KNOWN[end]]
    # An end that was in the log when its worker was killed, and its record not yet: a moment, that a kill must hit.
    assert all(outcome == UNRECORDED for _, outcome in wrong), wrong
    assert len(wrong) <= kills / 4, wrong


async def requests_total(replica: Replica) -> Counter[str]:
    """`headgate_requests_total` of one replica, by outcome."""
    _, body = await call(replica.url, "GET", "/metrics")
    found = re.findall(r'^headgate_requests_total\{.*outcome="(\w+)".*\} (\S+)$', body.decode(), re.MULTILINE)
    counts = Counter[str]()
    for outcome, value in found:
        counts[outcome] += int(float(value))
    return counts


@pytest.mark.timeout(900)  # the long form takes seven minutes
async def test_whatever_happens_each_request_ends_once_and_nothing_is_left_taken_l6_q3(
    narrow: Fleet, rng: random.Random, seconds: float, tmp_path: Path
) -> None:
    """L6, Q3, Q8: cancels, errors, and kill -9 of workers at random moments."""
    requests = 10_000 if seconds > 10 else 120
    waiting = asyncio.Semaphore(AT_ONCE)

    async def bounded(number: int) -> str:
        async with waiting:
            return await one_request(narrow, number, rng)

    logs, killed = [tmp_path / f"worker-{number}" for number in range(WORKERS)], list[int]()
    killers = [asyncio.create_task(kill_now_and_then(narrow, rng, 3.0, log, killed)) for log in logs]
    seen = await asyncio.gather(*(bounded(number) for number in range(requests)))
    outcomes = Counter(seen)
    for killer in killers:
        killer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killer
    print(dict(outcomes))  # noqa: T201 - the figures of a long run
    assert set(outcomes) <= set(KNOWN), outcomes
    assert outcomes["complete"] > requests / 4

    async def at_rest() -> bool:
        now = [await count(narrow, "EXISTS", f"headgate:queue:{key}") for key in KEYS]
        held = await count(narrow, "EXISTS", "headgate:slots:all")
        jobs = await narrow.redis.command("KEYS", "headgate:queue:job:*")
        gauges = [await replica.metrics() for replica in narrow.replicas]
        here = [one["headgate_open_generations"] + one["headgate_slots_in_use"] for one in gauges]
        return not any(now) and not held and "job:" not in jobs and not any(here)

    await eventually(at_rest, LEASE + LOOK + 5)
    await check_outcomes(narrow, seen, logs, len(killed) + WORKERS)
