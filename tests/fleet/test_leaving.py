"""Cancelling, and leaving, on another replica than the one that does the work."""

import asyncio
import random

import pytest

from tests.fleet.harness import Fleet, eventually
from tests.fleet.http_client import Answer, ask, call
from tests.fleet.readers import StreamReader, whole_log

LONG = 2_000
"""Tokens of an answer that nobody reads to its end."""
WITHIN = 1.0
"""Seconds in which the upstream call is closed (S7)."""


async def open_calls(fleet: Fleet, count: int, seconds: float = WITHIN) -> None:
    """Waits until the upstream has so many open calls of the slow model."""

    async def so_many() -> bool:
        return bool((await fleet.seen("ok-slow"))["open"] == count)

    await eventually(so_many, seconds)


async def test_a_cancel_on_another_replica_closes_the_upstream_call_s7(fleet: Fleet, rng: random.Random) -> None:
    async with fleet.start(0, f"cancel {rng.random()}", max_tokens=LONG) as answer:
        await answer.read(300)
        elsewhere = asyncio.create_task(whole_log(fleet.url(2), answer.stream_id))
        for _ in range(2):  # idempotent
            cancelled, _ = await call(fleet.url(1), "DELETE", f"/v1/streams/{answer.stream_id}")
            assert cancelled.status == 204
        await open_calls(fleet, 0)
        log = await elsewhere
        reader = StreamReader(answer.stream_id, events=log)
        reader.check()
        assert b"event: cancelled" in reader.terminal
        assert await whole_log(fleet.url(0), answer.stream_id) == log
        again, _ = await call(fleet.url(2), "DELETE", f"/v1/streams/{answer.stream_id}")
        assert again.status == 204


@pytest.mark.parametrize("door", ["native without grace", "openai"])
async def test_a_reader_elsewhere_keeps_the_work_alive_and_its_leaving_ends_it_s7_c2(
    fleet: Fleet, rng: random.Random, door: str
) -> None:
    prompt = f"keep {rng.random()}"
    body = {"model": "openai/ok-slow", "max_tokens": LONG}
    if door == "openai":
        path = "/v1/chat/completions"
        asked = {**body, "messages": [{"role": "user", "content": prompt}], "stream": True}
    else:
        path, asked = "/v1/streams", {**body, "prompt": prompt}
    grace = {} if door == "openai" else {"X-Stream-Grace": "0"}
    async with ask(fleet.url(0), "POST", path, asked, grace) as first:
        await first.read(300)
        elsewhere = ask(fleet.url(1), "GET", f"/v1/streams/{first.stream_id}")
        follower: Answer = await elsewhere.__aenter__()
        await follower.read(300)
    # Longer than it takes to close the call of a stream that nobody reads: a second must pass and nothing happen.
    with pytest.raises(TimeoutError):
        await open_calls(fleet, 0, WITHIN + 0.5)
    await follower.read(300)
    await elsewhere.__aexit__(None, None, None)
    await open_calls(fleet, 0)
    log = await whole_log(fleet.url(2), first.stream_id)
    assert b"event: cancelled" in log[-1]


async def test_one_who_joined_elsewhere_keeps_the_work_alive_c2(fleet: Fleet, rng: random.Random) -> None:
    prompt = f"join {rng.random()}"
    no_grace = {"X-Stream-Grace": "0"}
    async with fleet.start(1, prompt, headers=no_grace, max_tokens=60) as first:
        await first.read(300)
        joiner = asyncio.create_task(
            call(
                fleet.url(2),
                "POST",
                "/v1/streams",
                {"model": "openai/ok-slow", "prompt": prompt, "max_tokens": 60},
                no_grace,
            )
        )

        async def joined() -> bool:
            return (await fleet.replicas[2].metrics())["headgate_followed_streams"] == 1

        await eventually(joined)
    answer, body = await joiner
    assert answer.headers["x-cache"] == "coalesced"
    assert b"event: complete" in body


async def test_grace_counts_from_the_last_reader_wherever_it_was_s7(fleet: Fleet, rng: random.Random) -> None:
    async with fleet.start(0, f"grace {rng.random()}", headers={"X-Stream-Grace": "1"}, max_tokens=LONG) as first:
        await first.read(300)
        async with ask(fleet.url(1), "GET", f"/v1/streams/{first.stream_id}") as follower:
            await follower.read(300)
    with pytest.raises(TimeoutError):
        await open_calls(fleet, 0, 0.7)
    await open_calls(fleet, 0, 1.3)
