"""Where the time of a request went, as a client sees it."""

import hashlib
from pathlib import Path

import pytest

from tests.entrypoints.demo_service import body, demo
from tests.service import running

FORCE = {"X-Execution-Tracking": "force"}


async def test_a_request_shows_its_stages_and_they_add_up() -> None:
    async with running({"EXECUTION_TRACKING_SAMPLE_RATE": "0"}, llm={"demo": demo()}) as service:
        headers = {**FORCE, "X-Thread-ID": "mine"}
        answer = await service.client.post("/v1/streams", json=body("paced"), headers=headers)
        timed = {part.split(";dur=")[0] for part in answer.headers["server-timing"].split(", ")}
        assert timed == {"1.0_REQUEST_VALIDATION", "2.0_CACHE_LOOKUP", "3.0_RATE_LIMITING", "4.0_PROVIDER_SELECTION"}
        await service.until_idle()
        seen = (await service.client.get("/v1/threads/mine/execution")).json()
        assert [stage["stage"] for stage in seen["stages"]] == [
            "1.0_REQUEST_VALIDATION",
            "4.0_PROVIDER_SELECTION",
            "2.0_CACHE_LOOKUP",
            "3.0_RATE_LIMITING",
            "5.0_LLM_STREAMING",
            "6.0_CLEANUP",
        ]
        lookup = seen["stages"][2]
        assert [part["stage"] for part in lookup["substages"]] == ["2.1_L1_CACHE_LOOKUP"]
        total = sum(stage["seconds"] for stage in seen["stages"]) + seen["untracked"]
        assert total == pytest.approx(seen["seconds"], rel=0.02)
        (record,) = service.recorder.records
        assert dict(record.stages)["5.0_LLM_STREAMING"] > 0.1
        stages = (await service.client.get("/v1/stages")).json()["stages"]
        assert stages["5.0_LLM_STREAMING"]["count"] == 1
        assert stages["5.0_LLM_STREAMING"]["p99"] == pytest.approx(stages["5.0_LLM_STREAMING"]["maximum"], rel=0.02)


async def test_what_was_not_tracked_is_not_found() -> None:
    async with running({"EXECUTION_TRACKING_SAMPLE_RATE": "0"}, llm={"demo": demo()}) as service:
        answer = await service.client.post("/v1/streams", json=body("fast"), headers={"X-Thread-ID": "mine"})
        assert "server-timing" not in answer.headers
        missing = await service.client.get("/v1/threads/mine/execution")
        assert (missing.status_code, missing.json()["code"]) == (404, "execution_not_found")


async def test_an_execution_is_shown_to_its_own_caller_alone_30_40(tmp_path: Path) -> None:
    keys = {name: "hg_" + name * 10 for name in ("acme", "other")}
    rows = [f'[keys.{name}]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n' for name, key in keys.items()]
    config = tmp_path / "headgate.toml"
    config.write_text("".join(rows))
    async with running({"HEADGATE_CONFIG": str(config)}, llm={"demo": demo()}) as service:
        as_ = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
        ask = {**FORCE, "X-Thread-ID": "shared"}
        first = await service.client.post("/v1/streams", json=body("fast"), headers={**ask, **as_["acme"]})
        assert first.headers["x-thread-id"] == "shared"
        second = await service.client.post("/v1/streams", json=body("fast"), headers={**ask, **as_["other"]})
        assert second.headers["x-thread-id"].startswith("t_")
        path = "/v1/threads/shared/execution"
        assert (await service.client.get(path, headers=as_["acme"])).status_code == 200
        stranger = await service.client.get(path, headers=as_["other"])
        never = await service.client.get("/v1/threads/never/execution", headers=as_["other"])
        assert (stranger.status_code, never.status_code) == (404, 404)
        assert stranger.json()["detail"] == never.json()["detail"]
