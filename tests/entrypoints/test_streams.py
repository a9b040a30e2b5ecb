"""The main job over a real socket: start, follow, cut, resume."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.entrypoints.demo_service import ANSWER, body, cut_after, demo, text_of
from tests.event_source import EventSourceClient, parse
from tests.service import running


async def test_an_answer_is_one_stream_of_contiguous_ids_and_one_end_s1_s4() -> None:
    async with running(llm={"demo": demo()}) as service:
        response = await service.client.post("/v1/streams", json=body("fast"), headers={"X-Thread-ID": "mine"})
        events = parse(response.content)
        epoch = events[0].id.partition("-")[0]
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-thread-id"] == "mine"
        assert response.headers["x-stream-retention"] == "600"
        assert response.headers["cache-control"] == "no-store"
        assert [event.id for event in events] == [f"{epoch}-{seq}" for seq in range(len(events))]
        assert [event.event for event in events[:-1]] == ["delta"] * (len(events) - 1)
        assert text_of(events) == ANSWER
        assert json.loads(events[-1].data)["target"] == "demo/fast"
        # S4: a resume at the end is told to stop; one before it gets the rest; a replay is whole (S3).
        at_end = await service.client.get(
            response.headers["content-location"], headers={"Last-Event-ID": events[-1].id}
        )
        assert (at_end.status_code, at_end.content) == (204, b"")
        again = await service.client.get(response.headers["content-location"])
        assert again.content == response.content


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(1, 6), min_size=1, max_size=4), in_query=st.booleans())
def test_any_cuts_and_resumes_give_the_whole_answer_byte_for_byte_s3(cuts: list[int], in_query: bool) -> None:
    async def scenario() -> None:
        provider = demo()
        async with running(llm={"demo": provider}) as service:
            joined = b""
            async with service.client.stream("POST", "/v1/streams", json=body("paced")) as response:
                location = response.headers["content-location"]
                joined += await cut_after(response, cuts[0])
            for cut in [*cuts[1:], 1000]:
                reader = EventSourceClient()
                reader.read(joined)
                place = {"last_event_id": reader.last_event_id}
                request: dict[str, Any] = (
                    {"params": place} if in_query else {"headers": {"Last-Event-ID": place["last_event_id"]}}
                )
                async with service.client.stream("GET", location, **request) as response:
                    if response.status_code == 204:
                        break
                    joined += await cut_after(response, cut)
            whole = await service.client.get(location)
            assert joined == whole.content
            assert text_of(parse(joined)) == ANSWER
            assert provider.calls == 1

    asyncio.run(scenario())


async def test_the_header_wins_over_the_query_s3() -> None:
    async with running(llm={"demo": demo()}) as service:
        first = await service.client.post("/v1/streams", json=body("fast"))
        events = parse(first.content)
        rest = await service.client.get(
            first.headers["content-location"],
            params={"last_event_id": events[0].id},
            headers={"Last-Event-ID": events[4].id},
        )
        assert parse(rest.content) == events[5:]


async def test_openai_streams_resume_too_s3() -> None:
    async with running(llm={"demo": demo()}) as service:
        request = {
            "model": "demo/fast",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        whole = await service.client.post("/v1/chat/completions", json=request)
        events = parse(whole.content)
        assert events[-1].data == "[DONE]"
        assert whole.headers["x-request-id"] == whole.headers["x-thread-id"]
        for place in range(len(events) - 1):
            rest = await service.client.get(
                whole.headers["content-location"], headers={"Last-Event-ID": events[place].id}
            )
            assert parse(rest.content) == events[place + 1 :]
        native = await service.client.get(f"/v1/streams/{whole.headers['x-stream-id']}")
        assert text_of(parse(native.content)) == ANSWER


@pytest.mark.parametrize("position", ["0000000a-3", "{epoch}-999"])
async def test_a_position_of_another_log_is_reset_s5(position: str) -> None:
    async with running(llm={"demo": demo()}) as service:
        first = await service.client.post("/v1/streams", json=body("fast"))
        events = parse(first.content)
        asked = position.format(epoch=events[0].id.partition("-")[0])
        again = await service.client.get(first.headers["content-location"], headers={"Last-Event-ID": asked})
        replay = parse(again.content)
        assert replay[0].event == "reset"
        assert replay[0].id == ""
        assert replay[1:] == events


async def test_a_stream_that_is_gone_says_so_once_and_then_stops_the_browser_s5_s13() -> None:
    async with running({"STREAM_RETENTION": "0.05"}, llm={"demo": demo()}) as service:
        first = await service.client.post("/v1/streams", json=body("fast"))
        last = parse(first.content)[-1].id
        await asyncio.sleep(0.1)
        await service.client.post("/v1/streams", json=body("fast", prompt="other"))
        for place in ({}, {"Last-Event-ID": last}):
            gone = await service.client.get(first.headers["content-location"], headers=place)
            (event,) = parse(gone.content)
            assert event.event == "error"
            assert json.loads(event.data)["code"] == "not_resumable"
            stop = await service.client.get(first.headers["content-location"], headers={"Last-Event-ID": event.id})
            assert stop.status_code == 204


@pytest.mark.parametrize("path", ["s_AAAAAAAAAAAAAAAAAAAAAAAA", "x", "s_..%2f", "%00"])
async def test_a_stream_that_never_was_is_not_found_s6(path: str) -> None:
    async with running(llm={"demo": demo()}) as service:
        for method in ("GET", "DELETE"):
            response = await service.client.request(method, f"/v1/streams/{path}")
            assert response.status_code == 404
            assert response.json()["code"] == "not_found"


async def test_a_missing_finish_reason_is_a_failure_r4() -> None:
    async with running({"RETRY_MAX_ATTEMPTS": "1"}, llm={"demo": demo()}) as service:
        native = parse((await service.client.post("/v1/streams", json=body("cut"))).content)
        assert native[-1].event == "error"
        assert json.loads(native[-1].data)["code"] == "upstream_truncated"
        chat = {"model": "demo/cut", "messages": [{"role": "user", "content": "x"}]}
        plain = await service.client.post("/v1/chat/completions", json=chat)
        assert plain.status_code == 502
        assert plain.json()["error"]["code"] == "upstream_truncated"


async def test_heartbeats_come_while_nothing_else_does_s10() -> None:
    environ = {"STREAM_HEARTBEAT_INTERVAL": "0.2", "STREAM_IDLE_TIMEOUT": "1", "RETRY_MAX_ATTEMPTS": "1"}
    async with running(environ, llm={"demo": demo()}) as service:
        for path, request in (
            ("/v1/streams", body("stalls")),
            (
                "/v1/chat/completions",
                {"model": "demo/stalls", "messages": [{"role": "user", "content": "y"}], "stream": True},
            ),
        ):
            response = await service.client.post(path, json=request)
            client = EventSourceClient()
            client.read(response.content)
            assert 2 <= client.comments.count("ping") <= 6
            assert "provider_timeout" in client.events[-1].data


async def test_a_get_answers_at_once_and_a_post_with_its_first_event_s10() -> None:
    async with running(llm={"demo": demo()}) as service:
        started = await service.client.post("/v1/streams", json=body("silent"), headers={"Prefer": "respond-async"})
        async with asyncio.timeout(2):
            async with service.client.stream("GET", started.headers["location"]) as response:
                assert response.status_code == 200
        posting = asyncio.create_task(service.client.post("/v1/streams", json=body("silent", prompt="2")))
        await asyncio.sleep(0.2)
        assert not posting.done()
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)


async def test_a_failure_before_the_first_event_has_its_own_status() -> None:
    environ = {"STREAM_FIRST_EVENT_TIMEOUT_LAST": "0.1", "RETRY_MAX_ATTEMPTS": "1"}
    async with running(environ, llm={"demo": demo()}) as service:
        native = await service.client.post("/v1/streams", json=body("silent"))
        assert (native.status_code, native.json()["code"]) == (504, "provider_timeout")
        assert native.headers["content-type"] == "application/problem+json"
        for stream in (True, False):
            chat = {"model": "demo/silent", "messages": [{"role": "user", "content": "z"}], "stream": stream}
            openai = await service.client.post("/v1/chat/completions", json=chat)
            assert (openai.status_code, openai.json()["error"]["code"]) == (504, "provider_timeout")


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4).map(" ".join))
def test_any_text_comes_out_the_same_s15(text: str) -> None:
    async def scenario() -> None:
        async with running(llm={"demo": demo()}) as service:
            response = await service.client.post("/v1/streams", json=body("echo", prompt=text))
            assert text_of(parse(response.content)) == text

    asyncio.run(scenario())
