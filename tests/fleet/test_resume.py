"""Streams are cut and resumed at random over three replicas, under load."""

import asyncio
import random

import pytest

from tests.fleet.harness import Fleet
from tests.fleet.http_client import ask, call
from tests.fleet.readers import NATIVE, OPENAI, StreamReader, event_id, whole_log

CLIENTS = 30


async def one_stream(fleet: Fleet, rng: random.Random, prompt: str) -> None:
    """Starts a stream on one replica, is cut at random, goes on elsewhere; then compares it with the whole log."""
    first, other = rng.sample(range(len(fleet.replicas)), 2)
    reader = StreamReader(dialect=rng.choice([NATIVE, OPENAI]))
    body = {"model": "openai/ok-slow", "max_tokens": rng.randrange(10, 80)}
    if reader.dialect == NATIVE:
        path, body["prompt"] = "/v1/streams", prompt
    else:
        path, body["messages"] = "/v1/chat/completions", [{"role": "user", "content": prompt}]
        body["stream"] = True
    async with ask(fleet.url(first), "POST", path, body, {"X-Stream-Grace": "30"}) as answer:
        assert answer.status == 200
        await reader.take(answer, rng.randrange(1, 4000))
    await reader.cut_and_resume(fleet, rng)
    reader.check()
    for number in (first, other):
        assert await whole_log(fleet.url(number), reader.stream_id, reader.dialect) == reader.events
        assert await reader.resume(fleet.url(number)) == 204
    assert reader.events[-1].split(b"\n", 1)[1].startswith((b"event: complete", b"data: [DONE]"))


async def test_cut_at_random_and_resumed_anywhere_the_bytes_are_those_of_the_log_s3_s4(
    fleet: Fleet, rng: random.Random, seconds: float
) -> None:
    """S1, S3, S4 under load; each stream is one upstream call."""
    before = (await fleet.seen("ok-slow"))["requests"]
    loop = asyncio.get_running_loop()
    until, started = loop.time() + seconds, 0

    async def client(own: random.Random) -> None:
        nonlocal started
        while loop.time() < until:
            started += 1
            await one_stream(fleet, own, f"resume {own.random()}")

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client(random.Random(rng.random())))
    assert started >= CLIENTS
    assert (await fleet.seen("ok-slow"))["requests"] - before == started


@pytest.mark.parametrize("dialect", [NATIVE, OPENAI])
async def test_resumed_after_each_event_on_another_replica_the_rest_follows_s3(fleet: Fleet, dialect: str) -> None:
    stream_id = await fleet.begin(0, f"each {dialect}", "ok", max_tokens=20)
    whole = await whole_log(fleet.url(1), stream_id, dialect)
    for place in range(len(whole)):
        reader = StreamReader(stream_id, dialect, whole[: place + 1])
        status = await reader.resume(fleet.url(2))
        assert status == (204 if place == len(whole) - 1 else 200)
        assert reader.events == whole


async def test_another_epoch_is_told_and_the_whole_follows_s5(fleet: Fleet) -> None:
    stream_id = await fleet.begin(0, "epoch", "ok", max_tokens=20)
    whole = await whole_log(fleet.url(1), stream_id)
    beyond = f"{event_id(whole[0]).decode().partition('-')[0]}-999"
    for position in ("0123abcd-3", beyond):
        answer, body = await call(fleet.url(2), "GET", f"/v1/streams/{stream_id}", headers={"Last-Event-ID": position})
        assert (answer.status, body.split(b"\n\n")[0][:12]) == (200, b"event: reset")
        assert [block for block in body.split(b"\n\n")[1:] if block] == whole


async def test_any_replica_tells_gone_from_never_was_s6(fleet: Fleet) -> None:
    stream_id = await fleet.begin(0, "gone", "ok", max_tokens=3)
    await whole_log(fleet.url(1), stream_id)
    await fleet.redis.command("DEL", f"headgate:meta:{{{stream_id}}}", f"headgate:log:{{{stream_id}}}")
    answer, body = await call(fleet.url(2), "GET", f"/v1/streams/{stream_id}")
    assert (answer.status, b"not_resumable" in body) == (200, True)
    forged = stream_id[:-1] + ("A" if stream_id[-1] != "A" else "B")
    for number in range(3):
        answer, _ = await call(fleet.url(number), "GET", f"/v1/streams/{forged}")
        assert answer.status == 404
