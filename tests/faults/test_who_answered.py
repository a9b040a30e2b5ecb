"""The response names the model and provider that answered, through every door (R7)."""

import json
from pathlib import Path

import pytest

from tests.event_source import parse
from tests.faults.harness import bench

BODY = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("fault", ["reset", "401", "ok"])
async def test_the_native_door_names_who_answered_in_a_header_and_at_the_end_r7(
    upstream: str, tmp_path: Path, fault: str
) -> None:
    first, second = f"native--{fault}", f"native-{fault}--ok"
    answered = first if fault == "ok" else second
    async with bench(upstream, tmp_path, first, second) as one:
        for cache in ("miss", "hit-l1"):
            response = await one.service.client.post("/v1/streams", json=BODY)
            assert (response.headers["x-cache"], response.headers["x-target"]) == (cache, f"openai/{answered}")
            end = json.loads(parse(response.content)[-1].data)
            assert (end["target"], end["model"]) == (f"openai/{answered}", answered)


async def test_a_streamed_answer_of_openais_door_names_who_answered_r7(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "streamed--reset", "streamed--ok") as one:
        for cache in ("miss", "hit-l1"):
            response = await one.service.client.post("/v1/chat/completions", json={**BODY, "stream": True})
            assert (response.headers["x-cache"], response.headers["x-target"]) == (cache, "openai/streamed--ok")
            chunks = [json.loads(event.data) for event in parse(response.content)[:-1]]
            assert {chunk["model"] for chunk in chunks} == {"streamed--ok"}


async def test_a_plain_answer_names_who_finished_it_r7(upstream: str, tmp_path: Path) -> None:
    for first in ("plainly--reset", "plainly--cut-40"):
        async with bench(upstream, tmp_path, first, "plainly--ok") as one:
            response = await one.service.client.post("/v1/chat/completions", json=BODY)
            assert response.headers["x-target"] == "openai/plainly--ok"
            assert response.json()["model"] == "plainly--ok"


async def test_a_rescued_stream_names_who_began_it_and_in_its_chunks_who_went_on_r7(
    upstream: str, tmp_path: Path
) -> None:
    async with bench(upstream, tmp_path, "began--cut-40", "began--ok") as one:
        response = await one.service.client.post("/v1/chat/completions", json={**BODY, "stream": True})
        assert response.headers["x-target"] == "openai/began--cut-40"
        models = [json.loads(event.data)["model"] for event in parse(response.content)[:-1]]
        assert (models[0], models[-1]) == ("began--cut-40", "began--ok")


async def test_headers_that_leave_before_anybody_answers_name_nobody_r7(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "early--ok") as one:
        response = await one.service.client.post("/v1/streams", json=BODY, headers={"Prefer": "respond-async"})
        assert response.status_code == 202
        assert "x-target" not in response.headers
        again = await one.service.client.get(response.headers["location"])
        assert again.status_code == 200
        refused = await one.service.client.post("/v1/streams", json={**BODY, "model": "openai/early--401"})
        assert refused.status_code == 502
        assert "x-target" not in refused.headers


@pytest.mark.parametrize("stream", [True, False])
async def test_a_name_that_a_caller_wrote_stands_in_no_header_as_it_is_r7(
    upstream: str, tmp_path: Path, stream: bool
) -> None:
    async with bench(upstream, tmp_path, "named--ok") as one:
        body = {**BODY, "model": "openai/\r\nx-é: 1--ok", "stream": stream}
        response = await one.service.client.post("/v1/chat/completions", json=body)
        assert response.status_code == 200
        assert response.headers["x-target"] == "openai/%0D%0Ax-%C3%A9%3A%201--ok"
