"""R9: what a provider says about a request reaches its callers, in their dialect, and nobody else."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.event_source import parse
from tests.scripted_upstream import Asked, Reply, Upstream, said, streamed, upstream
from tests.service import Running, running, until

FIELDS = {"message": "Use 'max_completion_tokens' instead: ünï.", "type": "invalid_request_error",
          "param": "max_tokens", "code": "unsupported_parameter"}  # fmt: skip
INNER = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
AZURE = {"message": "Filtered.", "type": None, "param": "prompt", "code": "content_filter", "innererror": INNER}
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
         "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}]}  # fmt: skip
ASK: Any = {"model": "p/m", "messages": [{"role": "user", "content": "hi"}]}
KEY, OTHER_KEY = "hg-one-planted", "hg-two-planted"


def environ(tmp_path: Path, *upstreams: Upstream, **more: str) -> dict[str, str]:
    """A provider for each: `p`, `q`, ...; and the route `all` through them in order."""
    names = "pqrs"[: len(upstreams)]
    rows = [
        f'[providers.{name}]\nkind = "openai"\nbase_url = "{one.url}"\napi_key = "sk-planted-{name}-1234"'
        for name, one in zip(names, upstreams, strict=True)
    ]
    keys = [
        f'[keys.{name}]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"'
        for name, key in (("one", KEY), ("two", OTHER_KEY))
    ]
    config = tmp_path / "headgate.toml"
    routes = f"[routes]\nall = {json.dumps([f'{name}/m' for name in names])}"
    config.write_text("\n".join([*rows, *keys, routes]))
    return {"HEADGATE_CONFIG": str(config), "RETRY_MAX_ATTEMPTS": "1", **more}


async def post(service: Running, path: str, body: object, key: str = KEY) -> Any:
    return await service.client.post(path, json=body, headers={"Authorization": f"bearer {key}", "X-Thread-ID": "t"})


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize("stream", [True, False])
async def test_before_the_first_event_it_is_the_answer_byte_for_byte(tmp_path: Path, status: int, stream: bool) -> None:
    async with upstream(said(status, **FIELDS)) as one, running(environ(tmp_path, one)) as service:
        got = await post(service, "/v1/chat/completions", {**ASK, "stream": stream})
    assert (got.status_code, got.headers["x-should-retry"]) == (status, "false")
    assert (
        got.content
        == (
            '{"error":{"message":"Use \'max_completion_tokens\' instead: ünï.","type":"invalid_request_error",'
            '"param":"max_tokens","code":"unsupported_parameter"}}'
        ).encode()
    )


async def test_the_native_door_says_the_same_as_a_problem(tmp_path: Path) -> None:
    async with upstream(said(400, **AZURE)) as one, running(environ(tmp_path, one)) as service:
        got = await post(service, "/v1/streams", {"model": "p/m", "prompt": "hi"})
    assert (got.status_code, got.headers["content-type"]) == (400, "application/problem+json")
    assert got.json() == {
        "type": "urn:headgate:error:provider_rejected_request",
        "title": "Bad Request",
        "status": 400,
        "detail": "Filtered.",
        "code": "provider_rejected_request",
        "retryable": False,
        "thread_id": "t",
        "param": "prompt",
        "provider_code": "content_filter",
        "innererror": INNER,
    }


async def test_after_the_first_event_it_is_the_terminal_event_of_either_dialect(tmp_path: Path) -> None:
    reply = streamed(CHUNK, {"error": AZURE}, done=False)
    async with upstream(reply) as one, running(environ(tmp_path, one)) as service:
        chat = await post(service, "/v1/chat/completions", {**ASK, "stream": True})
        native = await post(service, "/v1/streams", {"model": "p/m", "prompt": "hi"})
        plain = await post(service, "/v1/chat/completions", ASK)
    inner = json.dumps(INNER, separators=(",", ":"))
    error = '{"message":"Filtered.","type":"invalid_request_error","param":"prompt","code":"content_filter",'
    error += f'"innererror":{inner}}}'
    assert parse(chat.content)[-1].data == f'{{"error":{error}}}'
    assert b"[DONE]" not in chat.content
    last = parse(native.content)[-1]
    assert (last.event, json.loads(last.data)) == (
        "error",
        {
            "code": "provider_rejected_request",
            "message": "Filtered.",
            "retryable": False,
            "thread_id": "t",
            "param": "prompt",
            "provider_code": "content_filter",
            "innererror": INNER,
        },
    )
    assert (plain.status_code, plain.text) == (400, f'{{"error":{error}}}')


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_official_client_raises_what_the_provider_said(
    tmp_path: Path, status: int, error: type[openai.APIStatusError], stream: bool
) -> None:
    async with (
        upstream(said(status, **FIELDS)) as one,
        running(environ(tmp_path, one)) as service,
        openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=KEY) as sdk,
    ):
        with pytest.raises(error) as raised:
            await sdk.chat.completions.create(**ASK, stream=stream)
        assert len(one.asked) == 1
    told = raised.value
    assert (told.status_code, told.code, told.param) == (status, "unsupported_parameter", "max_tokens")
    assert "Use 'max_completion_tokens' instead: ünï." in told.message


async def test_the_official_client_raises_it_in_the_middle_too(tmp_path: Path) -> None:
    async with (
        upstream(streamed(CHUNK, {"error": AZURE}, done=False)) as one,
        running(environ(tmp_path, one)) as service,
        openai.AsyncOpenAI(base_url=service.url, api_key=KEY) as sdk,  # without /v1
    ):
        with pytest.raises(openai.APIError) as raised:
            async for _ in await sdk.chat.completions.create(**ASK, stream=True):
                pass
    assert (raised.value.code, raised.value.param, raised.value.message) == ("content_filter", "prompt", "Filtered.")
    assert raised.value.body["innererror"] == INNER  # type: ignore[index]  # a member that the client's types lack


async def test_joiners_get_it_another_tenant_and_a_later_request_their_own(tmp_path: Path) -> None:
    """C1, C4, K1: one call for those in flight of one tenant; nothing is remembered or shared."""
    replies = [said(400, message=f"planted {number}") for number in range(3)]
    tracked = {"EXECUTION_TRACKING_SAMPLE_RATE": "1"}
    async with upstream(lambda _: replies.pop(0)) as one, running(environ(tmp_path, one, **tracked)) as service:
        one.gate = asyncio.Event()
        body = {"model": "p/m", "prompt": "hi"}
        equal = [asyncio.create_task(post(service, "/v1/streams", body)) for _ in range(3)]
        await until(lambda: len(service.streams) == 3)
        await until(lambda: len(one.asked) == 1)
        other = asyncio.create_task(post(service, "/v1/streams", body, OTHER_KEY))
        await until(lambda: len(one.asked) == 2)
        one.gate.set()
        details = [(await task).json()["detail"] for task in [*equal, other]]
        assert len(set(details[:3])) == 1
        assert details[3] != details[0]
        later = await post(service, "/v1/streams", body)
        assert later.json()["detail"] == "planted 2"
        metrics = (await service.client.get("/metrics")).text
        records = repr(service.recorder.records)
        execution = (
            await service.client.get("/v1/threads/t/execution", headers={"Authorization": f"Bearer {KEY}"})
        ).text
        stages = repr(service.container.tracker().get_execution_summary("t"))
    assert not any("planted" in text for text in (metrics, records, execution, stages))


async def test_our_keys_and_addresses_do_not_come_out_in_any_field_p2(tmp_path: Path) -> None:
    def reply(asked: Asked) -> Reply:
        ours = f"{asked.headers['authorization']} sk-planted-q-1234 http://{asked.headers['host']}/v1 org-Planted123abc"
        error = dict.fromkeys(("message", "type", "param", "code"), ours) | {"innererror": {ours: [ours]}}
        return Reply(400, json.dumps({"error": error}).encode())

    async with upstream(reply) as one, upstream(said(500)) as two, running(environ(tmp_path, one, two)) as service:
        answers = [
            await post(service, "/v1/chat/completions", {**ASK, "stream": True}),
            await post(service, "/v1/chat/completions", ASK),
            await post(service, "/v1/streams", {"model": "p/m", "prompt": "hi"}),
        ]
    for got in answers:
        assert (got.status_code, "****" in got.text) == (400, True)
        assert not any(ours in got.text for ours in ("planted", "Planted", "127.0.0.1", str(one.port)))


@pytest.mark.parametrize(
    ("replies", "status", "text"),
    [
        ((said(401), said(404, message="no such model")), 404, "no such model"),
        ((said(400, **FIELDS), said(401)), 400, "max_completion_tokens"),
        ((said(400, code="unsupported_value", message="first"), said(400, message="second")), 400, "second"),
        ((said(400, **FIELDS), said(404, message="no such model")), 400, "max_completion_tokens"),
        ((said(404, message="no such model"), said(400, **FIELDS)), 400, "max_completion_tokens"),
        ((said(500), said(400, message="bad")), 400, "bad"),
        ((said(404, message="first"), said(404, message="second")), 404, "second"),
        ((said(400, message="bad"), said(500)), 400, "bad"),
    ],
)
async def test_after_a_failover_what_the_caller_can_mend_is_told_r1(
    tmp_path: Path, replies: tuple[Reply, Reply], status: int, text: str
) -> None:
    async with (
        upstream(replies[0]) as one,
        upstream(replies[1]) as two,
        running(environ(tmp_path, one, two)) as service,
    ):
        got = await post(service, "/v1/chat/completions", {**ASK, "model": "all"})
    assert (got.status_code, text in got.text) == (status, True), got.text


@pytest.mark.parametrize("status", [401, 402, 403, 407, 500, 503])
async def test_what_it_says_of_us_stays_here(tmp_path: Path, status: int) -> None:
    reply = said(status, **dict.fromkeys(FIELDS, "planted"))
    async with upstream(reply) as one, running(environ(tmp_path, one)) as service:
        got = await post(service, "/v1/chat/completions", ASK)
    assert (got.status_code, "planted" in got.text) == (502, False)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_no_number_of_them_opens_a_breaker_b5(tmp_path: Path, status: int) -> None:
    async with upstream(said(status, **FIELDS)) as one:
        async with running(environ(tmp_path, one, CB_FAILURE_THRESHOLD="1")) as service:
            for number in range(5):
                await post(service, "/v1/chat/completions", {**ASK, "seed": number})
            assert service.container.breakers().reports([]) == []
        assert len(one.asked) == 5


async def test_words_without_end_are_cut(tmp_path: Path) -> None:
    async with upstream(said(400, message="é" * 20_000)) as one, running(environ(tmp_path, one)) as service:
        got = await post(service, "/v1/chat/completions", ASK)
    assert len(got.content) < (16 << 10) + 200
    assert got.json()["error"]["message"].endswith("é…")
