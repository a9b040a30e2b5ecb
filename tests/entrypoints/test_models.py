"""GET /v1/models, one model, and the habits of clients that look around (kind 19)."""

import asyncio
import hashlib
import json
from pathlib import Path

import httpx
import openai
import pytest

from entrypoints.http.path_aliases import canonical
from tests.entrypoints.demo_service import body, demo
from tests.scripted_upstream import Asked, Reply, said, upstream
from tests.service import process, running

LISTED = {"object": "list", "data": [{"id": "org/model-1"}, {"id": "gpt-4o"}]}
KEY = "hg-key"


def reply(asked: Asked) -> Reply:
    return Reply(body=json.dumps(LISTED).encode()) if asked.target == "/v1/models" else said(404, message="no")


async def test_the_official_client_lists_and_retrieves_with_only_a_base_url() -> None:
    async with upstream(reply) as one, running({"OPENAI_BASE_URL": one.url}) as service:
        async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="any") as sdk:
            assert [model.id async for model in sdk.models.list()] == ["openai/gpt-4o", "openai/org/model-1"]
            model = await sdk.models.retrieve("openai/org/model-1")
            assert (model.id, model.object, model.owned_by) == ("openai/org/model-1", "model", "openai")
            with pytest.raises(openai.NotFoundError) as raised:
                await sdk.models.retrieve("openai/gpt-5")
        assert raised.value.code == "model_not_found"
        assert len(one.asked) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/demo/fast",
        "/v1/models/demo%2Ffast",
        "/models/demo/fast",
        "/models/demo%2Ffast",
        "/v1/models/demo/fast/",
        "/v1/models/demo",
    ],
)
async def test_a_model_is_found_by_its_name_however_it_is_written(path: str) -> None:
    async with running(llm={"demo": demo()}) as service:
        got = await service.client.get(path)
        assert (got.status_code, got.json()["object"]) == (200, "model")
        assert (await service.client.head(path)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models/nope", "/v1/models/demo/nope", "/models/x/y", "/v1/models/nope%2F"])
async def test_one_that_is_not_there_is_a_404_in_openais_words(path: str) -> None:
    async with running(llm={"demo": demo()}) as service:
        got = await service.client.get(path)
    assert (got.status_code, got.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_provider_that_is_away_is_hidden_and_counted() -> None:
    async with upstream(said(401, message="planted")) as one:
        environ = {"OPENAI_BASE_URL": one.url, "OPENAI_API_KEY": "sk-planted-0123"}
        async with running(environ) as service:
            got = await service.client.get("/v1/models")
            metrics = (await service.client.get("/metrics")).text
    assert (got.status_code, got.json()["data"]) == (200, [])
    assert 'headgate_model_list_failures_total{code="provider_authentication",provider="openai"} 1.0' in metrics
    assert "planted" not in got.text + metrics


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions/", "/chat/completions/"])
async def test_chat_is_served_without_the_version_and_with_a_slash(path: str) -> None:
    ask = {"model": "demo/fast", "messages": [{"role": "user", "content": "hi"}]}
    async with running(llm={"demo": demo()}) as service:
        assert (await service.client.post(path, json=ask)).json()["object"] == "chat.completion"
        bad = await service.client.post(path, json={**ask, "model": "nope"})
        assert bad.json()["error"]["code"] == "model_not_found"


async def test_known_paths_take_a_slash_and_unknown_ones_stay_unknown() -> None:
    async with running(llm={"demo": demo()}) as service:
        assert (await service.client.post("/v1/streams/", json=body("fast"))).status_code == 200
        for path in ("/models", "/models/", "/v1/models/", "/livez/", "/readyz/", "/metrics/"):
            assert (await service.client.get(path)).status_code == 200, path
        assert (await service.client.head("/livez")).status_code == 200
        for path in ("/v1/nope/", "/nope/", "/v1/chat/", "/chat"):
            assert (await service.client.get(path)).status_code == 404, path


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", ""), ("/", "/"), ("//", "//"), ("/v1/", "/v1"), ("/modelsx", "/modelsx"), ("/v1/models//", "/v1/models/"),
     ("/models/a/", "/v1/models/a"), ("/console/", "/console/")],
)  # fmt: skip
def test_any_path_has_one_spelling(path: str, expected: str) -> None:
    assert canonical(path) == expected


@pytest.mark.parametrize(
    "headers",
    [{"api-key": KEY}, {"x-api-key": KEY}, {"Authorization": f"bearer {KEY}"}, {"Authorization": f"BEARER  {KEY}"}],
)
async def test_a_key_is_taken_from_where_clients_put_it(tmp_path: Path, headers: dict[str, str]) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text(f'[keys.one]\nsha256 = "{hashlib.sha256(KEY.encode()).hexdigest()}"')
    async with running({"HEADGATE_CONFIG": str(config)}) as service:
        assert (await service.client.get("/v1/models", headers=headers)).status_code == 200
        wrong = {name: value + "x" for name, value in headers.items()}
        assert (await service.client.get("/v1/models", headers=wrong)).status_code == 401


async def test_a_provider_that_hangs_does_not_hold_the_list() -> None:
    async with upstream(reply) as one, running({"OPENAI_BASE_URL": one.url}) as service:
        one.gate = asyncio.Event()
        got = await service.client.get("/v1/models", timeout=15)
        assert got.json()["data"] == []


def test_a_process_ends_while_a_list_is_being_fetched(tmp_path: Path) -> None:
    with process({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}) as (service, url):
        assert httpx.get(f"{url}/v1/models", timeout=15).json()["data"] == []
        service.terminate()
        assert service.wait(20) == 0
