"""The main job over a real socket: start, follow, cut, resume, share, cancel."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.memory.clock import SystemClock
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import ProviderUnavailableError
from domain.model import CacheStatus, Delta, Outcome
from tests.event_source import ClientEvent, EventSourceClient, parse
from tests.service import Running, running

ANSWER = "One two three four five six seven eight nine ten."
SCRIPTS: Mapping[str, Script] = {
    "fast": Script(text_pieces(ANSWER)),
    "paced": Script(text_pieces(ANSWER), delay=0.02),
    "endless": Script(text_pieces("x " * 100_000), delay=0.01),
    "silent": Script(text_pieces(ANSWER), stall_at=0),
    "stalls": Script(text_pieces(ANSWER), stall_at=3),
    "broken": Script(text_pieces(ANSWER), error=ProviderUnavailableError, error_at=3),
    "cut": Script(text_pieces(ANSWER), finish_reason=None),
    "filtered": Script(text_pieces(ANSWER), finish_reason="content_filter"),
    "echo": Script(None),
    "usage-last": Script((Delta("a"), Delta(finish_reason="stop", model="m")), finish_reason=None),
}


def demo() -> DemoProvider:
    return DemoProvider("demo", SystemClock(), SCRIPTS)


def body(model: str, prompt: str = "hi", **options: object) -> dict[str, Any]:
    return {"model": f"demo/{model}", "prompt": prompt, **options}


def text_of(events: list[ClientEvent]) -> str:
    return "".join(json.loads(event.data)["text"] for event in events if event.event == "delta")


async def cut_after(response: httpx.Response, events: int) -> bytes:
    """What a client has when it hangs up after so many whole events."""
    seen = b""
    async for piece in response.aiter_raw():
        seen += piece
        if seen.count(b"\n\n") >= events:
            break
    return b"".join(block + b"\n\n" for block in seen.split(b"\n\n")[:-1][:events])


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
        at_end = await service.client.get(response.headers["content-location"], headers={"Last-Event-ID": events[-1].id})
        assert (at_end.status_code, at_end.content) == (204, b"")
        again = await service.client.get(response.headers["content-location"])
        assert again.content == response.content


@settings(max_examples=25, deadline=None)
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
                request: dict[str, Any] = {"params": place} if in_query else {"headers": {"Last-Event-ID": place["last_event_id"]}}
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
            rest = await service.client.get(whole.headers["content-location"], headers={"Last-Event-ID": events[place].id})
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
            while len(service.streams) < 2:
                await asyncio.sleep(0.005)
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
                (await service.client.post("/v1/streams", json=body("fast", temperature=temperature))).headers["x-cache"]
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


async def test_a_missing_finish_reason_is_a_failure_r4() -> None:
    async with running({"RETRY_MAX_ATTEMPTS": "1"}, llm={"demo": demo()}) as service:
        native = parse((await service.client.post("/v1/streams", json=body("cut"))).content)
        assert native[-1].event == "error"
        assert json.loads(native[-1].data)["code"] == "upstream_truncated"
        chat = {"model": "demo/cut", "messages": [{"role": "user", "content": "x"}]}
        plain = await service.client.post("/v1/chat/completions", json=chat)
        assert plain.status_code == 502
        assert plain.json()["error"]["code"] == "upstream_truncated"


async def stopped(service: Running, provider: DemoProvider) -> None:
    """Within a second of now the upstream is closed and nothing runs (S7, R8)."""
    async with asyncio.timeout(1):
        while provider.open or len(service.container.generations()):
            await asyncio.sleep(0.005)


async def test_the_last_reader_leaving_ends_the_work_after_its_grace_s7_r8() -> None:
    provider = demo()
    async with running({"STREAM_ORPHAN_GRACE": "0.3"}, llm={"demo": provider}) as service:
        async with service.client.stream("POST", "/v1/streams", json=body("endless")) as response:
            await cut_after(response, 2)
        await asyncio.sleep(0.1)
        assert provider.open == 1
        await stopped(service, provider)
        (record,) = service.recorder.records
        assert record.outcome is Outcome.CANCELLED
        end = parse((await service.client.get(response.headers["content-location"])).content)[-1]
        assert (end.event, json.loads(end.data)) == ("cancelled", {"reason": "orphaned"})


async def test_a_reader_that_comes_back_within_the_grace_saves_the_work_s7() -> None:
    provider = demo()
    async with running({"STREAM_ORPHAN_GRACE": "0.2"}, llm={"demo": provider}) as service:
        async with service.client.stream("POST", "/v1/streams", json=body("paced")) as response:
            await cut_after(response, 2)
        rest = await service.client.get(response.headers["content-location"])
        assert text_of(parse(rest.content)) == ANSWER


@pytest.mark.parametrize("model", ["silent", "endless"])
@pytest.mark.parametrize("stream", [True, False])
async def test_on_the_openai_door_leaving_is_a_cancel_s7_r8(model: str, stream: bool) -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        chat = {"model": f"demo/{model}", "messages": [{"role": "user", "content": "x"}], "stream": stream}
        asking = asyncio.create_task(service.client.post("/v1/chat/completions", json=chat))
        while not provider.open:
            await asyncio.sleep(0.005)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await stopped(service, provider)


async def test_a_client_of_any_dialect_can_ask_for_a_grace_s7() -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        chat = {"model": "demo/paced", "messages": [{"role": "user", "content": "x"}], "stream": True}
        async with service.client.stream(
            "POST", "/v1/chat/completions", json=chat, headers={"X-Stream-Grace": "5"}
        ) as response:
            first = await cut_after(response, 2)
        reader = EventSourceClient()
        reader.read(first)
        rest = await service.client.get(
            response.headers["content-location"], headers={"Last-Event-ID": reader.last_event_id}
        )
        assert parse(rest.content)[-1].data == "[DONE]"
        assert provider.calls == 1


async def test_cancel_is_explicit_and_idempotent_s7() -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        started = await service.client.post("/v1/streams", json=body("endless"), headers={"Prefer": "respond-async"})
        assert started.status_code == 202
        location = started.headers["location"]
        following = asyncio.create_task(service.client.get(location))
        while not len(service.streams):
            await asyncio.sleep(0.005)
        for _ in range(3):
            assert (await service.client.delete(location)).status_code == 204
        end = parse((await following).content)[-1]
        assert (end.event, json.loads(end.data)) == ("cancelled", {"reason": "requested"})
        await stopped(service, provider)
        assert service.container.breaker_board().state("demo/endless") is None


async def test_respond_async_runs_to_its_end_without_a_reader() -> None:
    async with running({"STREAM_ORPHAN_GRACE": "0"}, llm={"demo": demo()}) as service:
        started = await service.client.post("/v1/streams", json=body("paced"), headers={"Prefer": "respond-async"})
        assert started.json()["stream_id"] == started.headers["x-stream-id"]
        await service.until_idle()
        whole = await service.client.get(started.headers["location"])
        assert text_of(parse(whole.content)) == ANSWER


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
    environ = {"STREAM_FIRST_EVENT_TIMEOUT": "0.1", "RETRY_MAX_ATTEMPTS": "1"}
    async with running(environ, llm={"demo": demo()}) as service:
        native = await service.client.post("/v1/streams", json=body("silent"))
        assert (native.status_code, native.json()["code"]) == (504, "provider_timeout")
        assert native.headers["content-type"] == "application/problem+json"
        for stream in (True, False):
            chat = {"model": "demo/silent", "messages": [{"role": "user", "content": "z"}], "stream": stream}
            openai = await service.client.post("/v1/chat/completions", json=chat)
            assert (openai.status_code, openai.json()["error"]["code"]) == (504, "provider_timeout")


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
        while len(service.container.generations()) < 2:
            await asyncio.sleep(0.005)
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


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4).map(" ".join))
def test_any_text_comes_out_the_same_s15(text: str) -> None:
    async def scenario() -> None:
        async with running(llm={"demo": demo()}) as service:
            response = await service.client.post("/v1/streams", json=body("echo", prompt=text))
            assert text_of(parse(response.content)) == text

    asyncio.run(scenario())
