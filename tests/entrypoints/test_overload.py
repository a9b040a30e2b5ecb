"""Limits, slots and the queue, as a client sees them."""

import asyncio
import json

from domain.model import Outcome
from tests.entrypoints.demo_service import ANSWER, body, demo, text_of
from tests.event_source import parse
from tests.service import running, until


async def test_a_request_without_a_slot_is_queued_and_then_served_s10() -> None:
    provider = demo()
    async with running({"STREAM_MAX_CONCURRENT": "1"}, llm={"demo": provider}) as service:
        answers = await asyncio.gather(
            *(service.client.post("/v1/streams", json=body("paced", prompt=str(number))) for number in range(4))
        )
        for answer in answers:
            assert text_of(parse(answer.content)) == ANSWER
        states = [
            [json.loads(event.data)["state"] for event in parse(answer.content) if event.event == "status"]
            for answer in answers
        ]
        assert sorted(states) == [[], *[["queued", "started"]] * 3]


async def test_a_full_queue_refuses_and_a_long_wait_expires() -> None:
    environ = {"STREAM_MAX_CONCURRENT": "1", "QUEUE_MAX_DEPTH": "1", "QUEUE_MAX_WAIT": "0.3"}
    async with running(environ, llm={"demo": demo()}) as service:
        holder = await service.client.post("/v1/streams", json=body("endless"), headers={"Prefer": "respond-async"})
        waiting = asyncio.create_task(service.client.post("/v1/streams", json=body("paced", prompt="1")))
        await until(lambda: len(service.container.generations()) == 2)
        refused = await service.client.post("/v1/streams", json=body("paced", prompt="2"))
        assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
        assert int(refused.headers["retry-after"]) >= 1
        expired = parse((await waiting).content)
        assert json.loads(expired[-1].data)["code"] == "queue_timeout"
        await service.client.delete(holder.headers["location"])
        await service.until_idle()
        outcomes = sorted(record.outcome for record in service.recorder.records)
        assert outcomes == [Outcome.CANCELLED, Outcome.EXPIRED, Outcome.REJECTED_FULL]
        served = await service.client.post("/v1/streams", json=body("fast"))
        assert text_of(parse(served.content)) == ANSWER


async def test_rate_limits_refuse_with_a_true_wait() -> None:
    async with running({"RATE_LIMIT_REQUESTS_PER_MINUTE": "2"}, llm={"demo": demo()}) as service:
        for prompt in "12":
            response = await service.client.post("/v1/streams", json=body("fast", prompt=prompt))
            assert '"requests";r=' in response.headers["ratelimit"]
            assert response.headers["ratelimit-policy"].startswith('"requests";q=2;w=60')
        refused = await service.client.post("/v1/streams", json=body("fast", prompt="3"))
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limit_exceeded")
        assert 1 <= int(refused.headers["retry-after"]) <= 31
        # A hit costs nothing: it is asked before the limits.
        assert (await service.client.post("/v1/streams", json=body("fast", prompt="1"))).headers["x-cache"] == "hit-l1"
