"""Methods: HEAD where GET is served, OPTIONS, and a true `Allow` with every 405 (BAD_INPUT 36, 37, 54)."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.entrypoints.demo_service import body, demo
from tests.service import Running, running, until

READ, WRITE = "GET, HEAD, OPTIONS", "OPTIONS, POST"
PATHS = {
    "/livez": READ,
    "/readyz": READ,
    "/metrics": READ,
    "/docs": READ,
    "/openapi.json": READ,
    "/v1/models": READ,
    "/v1/providers": READ,
    "/v1/stages": READ,
    "/v1/threads/x/execution": READ,
    "/v1/streams": WRITE,
    "/v1/chat/completions": WRITE,
    "/v1/providers/demo/a/b/breaker": WRITE,
    "/v1/streams/x": "DELETE, GET, HEAD, OPTIONS",
}
VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE", "TRACE", "LINK"]
OF_ONE_MOMENT = {"date", "x-thread-id", "x-request-id", "server-timing", "content-length", "transfer-encoding"}
"""Headers that differ between any two answers, or tell how the body comes."""


@pytest.fixture
async def service() -> AsyncIterator[Running]:
    async with running(llm={"demo": demo()}) as service:
        yield service


async def test_every_wrong_verb_on_a_known_path_gets_405_and_what_is_allowed_37_54(service: Running) -> None:
    for path, allowed in PATHS.items():
        for verb in VERBS:
            answer = await service.client.request(verb, path)
            if verb == "OPTIONS":
                assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")
            elif verb in allowed.split(", "):
                assert answer.status_code != 405, (verb, path)
            else:
                assert (answer.status_code, answer.headers["allow"]) == (405, allowed), (verb, path)
                assert answer.headers["x-should-retry"] == "false"
                if verb != "HEAD":
                    assert code(answer) == "method_not_allowed"
    for verb in VERBS:
        unknown = await service.client.request(verb, "/v1/nothing")
        assert unknown.status_code == 404
        assert "allow" not in unknown.headers


def code(answer: httpx.Response) -> str:
    """Of an error in either dialect."""
    told = answer.json()
    found: str = told["error"]["code"] if "error" in told else told["code"]
    return found


def lasting(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OF_ONE_MOMENT}


async def test_head_is_get_without_the_body_37(service: Running) -> None:
    for path in [path for path, allowed in PATHS.items() if "GET" in allowed]:
        got, head = await service.client.get(path), await service.client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert lasting(head) == lasting(got), path


@pytest.mark.parametrize("model", ["fast", "endless"])
async def test_the_head_of_a_stream_is_that_of_its_response_and_leaves_no_reader(service: Running, model: str) -> None:
    made = await service.client.post("/v1/streams", json=body(model), headers={"Prefer": "respond-async"})
    path = made.json()["location"]
    generation = service.container.generations().get(made.json()["stream_id"])
    if model == "fast":
        await service.until_idle()
    for query in ("", "?dialect=openai"):
        async with service.client.stream("GET", path + query) as got:
            head = await service.client.head(path + query)
            assert head.status_code == got.status_code == 200
            assert {**lasting(head), "x-target": ""} == {**lasting(got), "x-target": ""}
            assert "content-length" not in head.headers
    if model == "endless":
        assert generation is not None
        await until(lambda: generation.readers == 0)
        alarm = generation._orphan
        for _ in range(5):
            assert (await service.client.head(path)).headers["x-target"] == "demo/endless"
        assert generation.readers == 0
        assert generation._orphan is alarm
    assert (await service.client.head(path, headers={"Last-Event-ID": "x"})).status_code == 400
    assert (await service.client.head(f"{path}?dialect=x")).status_code == 400
    await service.client.delete(path)
    await service.until_idle()


async def test_to_look_at_a_stream_that_nobody_reads_yet_does_not_end_it_s7(service: Running) -> None:
    headers = {"Prefer": "respond-async", "X-Stream-Grace": "0"}
    made = await service.client.post("/v1/streams", json=body("endless"), headers=headers)
    path = made.json()["location"]
    for _ in range(3):
        assert (await service.client.head(path)).status_code == 200
        assert (await service.client.get(f"{path}?dialect=x")).status_code == 400
    await asyncio.sleep(0)
    assert len(service.container.generations()) == 1
    await service.client.delete(path)
    await service.until_idle()
    events = (await service.client.get(path)).text
    assert "event: cancelled" in events
    seen = [line.removeprefix("id: ") for line in events.splitlines() if line.startswith("id: ")]
    assert (await service.client.head(path, headers={"Last-Event-ID": seen[-1]})).status_code == 204
