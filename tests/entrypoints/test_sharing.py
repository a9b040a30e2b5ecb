"""Equal requests: one call for those in flight, the cache for those that come later."""

import asyncio
import json

import pytest

from domain.model import CacheStatus, Outcome
from tests.entrypoints.demo_service import ANSWER, body, cut_after, demo, text_of
from tests.event_source import parse
from tests.service import running, until


async def test_fifty_equal_requests_share_one_call_and_the_next_is_a_hit_c1_c3_k3() -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        answers = await asyncio.gather(*(service.client.post("/v1/streams", json=body("paced")) for _ in range(50)))
        assert provider.calls == 1
        assert len({answer.content for answer in answers}) == 1
        assert sorted(answer.headers["x-cache"] for answer in answers) == ["coalesced"] * 49 + ["miss"]
        hit = await service.client.post("/v1/streams", json=body("paced"))
        assert hit.headers["x-cache"] == "hit-l1"
        assert provider.calls == 1
        # K3: same events, same finish, same usage; an id and an epoch of its own (S1).
        assert [(e.event, e.data) for e in parse(hit.content)] == [(e.event, e.data) for e in parse(answers[0].content)]
        assert hit.headers["x-stream-id"] != answers[0].headers["x-stream-id"]
        assert {event.id for event in parse(hit.content)}.isdisjoint(event.id for event in parse(answers[0].content))
        await service.until_idle()
        counted = [record.cache for record in service.recorder.records]
        assert counted.count(CacheStatus.COALESCED) == 49
        assert [record.outcome for record in service.recorder.records] == [Outcome.SERVED] * 51


async def test_a_late_joiner_gets_the_stream_from_its_beginning_c3() -> None:
    provider = demo()
    async with (
        running(llm={"demo": provider}) as service,
        service.client.stream("POST", "/v1/streams", json=body("paced")) as first,
    ):
        pieces = first.aiter_raw()
        seen = b""
        while seen.count(b"\n\n") < 3:
            seen += await anext(pieces)
        late = await service.client.post("/v1/streams", json=body("paced"))
        async for piece in pieces:
            seen += piece
        assert late.content == seen
        assert late.headers["x-cache"] == "coalesced"
        assert provider.calls == 1


async def test_the_first_callers_leaving_cancels_nobody_c2() -> None:
    provider = demo()
    async with running({"STREAM_ORPHAN_GRACE": "0"}, llm={"demo": provider}) as service:
        async with service.client.stream("POST", "/v1/streams", json=body("paced")) as first:
            joiner = asyncio.create_task(service.client.post("/v1/streams", json=body("paced")))
            await until(lambda: len(service.streams) == 2)
            assert first.headers["x-cache"] == "miss"
        joined = await joiner
        assert text_of(parse(joined.content)) == ANSWER
        assert provider.calls == 1


@pytest.mark.parametrize("model", ["cut", "broken", "filtered"])
async def test_answers_that_are_not_whole_are_never_stored_k1(model: str) -> None:
    provider = demo()
    async with running({"RETRY_MAX_ATTEMPTS": "1"}, llm={"demo": provider}) as service:
        for _ in range(2):
            answer = await service.client.post("/v1/streams", json=body(model))
            assert answer.headers["x-cache"] == "miss"
        assert provider.calls == 2


async def test_an_aborted_first_call_never_serves_a_truncated_answer_k1() -> None:
    provider = demo()
    async with running({"STREAM_ORPHAN_GRACE": "0"}, llm={"demo": provider}) as service:
        async with service.client.stream("POST", "/v1/streams", json=body("paced")) as response:
            await cut_after(response, 2)
        again = await service.client.post("/v1/streams", json=body("paced"))
        assert text_of(parse(again.content)) == ANSWER
        assert provider.calls == 2


async def test_cache_directives_k4() -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:

        async def ask(directive: str | None) -> str:
            headers = {} if directive is None else {"Cache-Control": directive}
            response = await service.client.post("/v1/streams", json=body("fast"), headers=headers)
            assert text_of(parse(response.content)) == ANSWER
            return str(response.headers["x-cache"])

        assert await ask("no-store") == "bypass"
        assert await ask(None) == "miss"
        assert await ask(None) == "hit-l1"
        assert await ask("no-store") == "hit-l1"
        assert await ask("no-cache") == "bypass"
        assert provider.calls == 3


async def test_randomness_can_be_left_out_of_the_cache_k4() -> None:
    async with running({"CACHE_EXCLUDE_SAMPLED": "true"}, llm={"demo": demo()}) as service:
        for temperature, expected in ((0.7, ["bypass", "bypass"]), (0, ["miss", "hit-l1"])):
            marks = [
                (await service.client.post("/v1/streams", json=body("fast", temperature=temperature))).headers[
                    "x-cache"
                ]
                for _ in range(2)
            ]
            assert marks == expected


async def test_errors_reach_those_who_are_there_and_are_not_remembered_c4() -> None:
    provider = demo()
    async with running({"RETRY_MAX_ATTEMPTS": "1", "CB_FAILURE_THRESHOLD": "100"}, llm={"demo": provider}) as service:
        answers = await asyncio.gather(*(service.client.post("/v1/streams", json=body("broken")) for _ in range(5)))
        assert provider.calls == 1
        for answer in answers:
            assert json.loads(parse(answer.content)[-1].data)["code"] == "provider_unavailable"
        await service.client.post("/v1/streams", json=body("broken"))
        assert provider.calls == 2
