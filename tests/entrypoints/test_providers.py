"""GET /v1/providers, and the operator's hand on a breaker, through the whole service."""

import hashlib
from pathlib import Path

import pytest

from adapters.memory.clock import SystemClock
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import ProviderUnavailableError
from tests.entrypoints.demo_service import body, demo
from tests.service import JSON, Running, running

OPEN, CLOSED = {"state": "open"}, {"state": "closed"}
FAST = "/v1/providers/demo/fast/breaker"


async def targets(service: Running) -> dict[str, dict[str, object]]:
    answer = await service.client.get("/v1/providers")
    assert answer.status_code == 200
    return {row["target"]: row for row in answer.json()["targets"]}


async def test_a_target_that_fails_is_shown_with_why_and_until_when(tmp_path: Path) -> None:
    """B0: the other target of the same provider is closed."""
    config = tmp_path / "headgate.toml"
    config.write_text('[routes]\n"main" = ["demo/fast"]\n')
    environ = {"HEADGATE_CONFIG": str(config), "CB_FAILURE_THRESHOLD": "1", "RETRY_MAX_ATTEMPTS": "1"}
    down = Script(text_pieces("x"), error=ProviderUnavailableError, error_at=0)
    llm = {"demo": DemoProvider("demo", SystemClock(), {"down": down})}
    async with running(environ, llm=llm) as service:
        assert (await targets(service))["demo/fast"] == {
            "target": "demo/fast",
            "state": "closed",
            "reason": None,
            "failures": 0,
            "since": None,
            "next_probe_at": None,
        }
        failed = await service.client.post("/v1/streams", json=body("down"))
        assert failed.status_code == 502
        shown = await targets(service)
        assert shown["demo/fast"]["state"] == "closed"
        row = shown["demo/down"]
        assert (row["state"], row["failures"]) == ("open", 1)
        since, due = row["since"], row["next_probe_at"]
        assert isinstance(since, float)
        assert isinstance(due, float)
        assert 55 < due - since < 70
        assert abs(since - service.container.clock().time()) < 30


async def test_without_keys_an_operator_is_who_asks_from_this_machine() -> None:
    async with running(llm={"demo": demo()}) as service:
        opened = await service.client.post(FAST, json=OPEN)
        assert opened.status_code == 200
        (row,) = opened.json()["targets"]
        assert (row["state"], row["reason"]) == ("open", "operator")
        refused = await service.client.post("/v1/streams", json=body("fast"))
        assert (refused.status_code, refused.json()["code"]) == (503, "circuit_open")
        assert int(refused.headers["retry-after"]) > 500
        closed = await service.client.post(FAST, json=CLOSED)
        assert [row["state"] for row in closed.json()["targets"]] == ["closed"]
        assert (await service.client.post("/v1/streams", json=body("fast"))).status_code == 200


async def test_without_keys_nobody_from_elsewhere_is_an_operator() -> None:
    async with running({"HEADGATE_TRUSTED_PROXIES": "127.0.0.1"}, llm={"demo": demo()}) as service:
        refused = await service.client.post(FAST, json=OPEN, headers={"X-Forwarded-For": "10.1.2.3"})
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        assert (await service.client.get("/v1/providers", headers={"X-Forwarded-For": "nonsense"})).status_code == 200
        assert (await service.client.post(FAST, json=OPEN)).status_code == 200


async def test_with_keys_an_operator_is_a_tenant_that_is_named(tmp_path: Path) -> None:
    keys = {name: "hg_" + name * 10 for name in ("acme", "ops")}
    rows = [f'[keys.{name}]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n' for name, key in keys.items()]
    config = tmp_path / "headgate.toml"
    config.write_text("".join(rows))
    environ = {"HEADGATE_CONFIG": str(config), "CB_OPERATORS": "oncall, ops"}
    async with running(environ, llm={"demo": demo()}) as service:
        as_ = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
        assert (await service.client.get("/v1/providers")).status_code == 401
        assert (await service.client.get("/v1/providers", headers=as_["acme"])).status_code == 200
        assert (await service.client.post(FAST, json=OPEN)).status_code == 401
        assert (await service.client.post(FAST, json=OPEN, headers=as_["acme"])).status_code == 404
        assert (await service.client.post(FAST, json=OPEN, headers=as_["ops"])).status_code == 200


async def test_to_others_the_operators_route_is_a_path_that_does_not_exist_29(tmp_path: Path) -> None:
    """BAD_INPUT 29: no oracle. Whatever is asked of it, the answer is that to a path that is not there."""
    key = "hg_" + "acme" * 10
    config = tmp_path / "headgate.toml"
    config.write_text(f'[keys.acme]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n')
    own = {"Authorization": f"Bearer {key}", "X-Thread-ID": "mine", "Content-Type": "application/json"}
    async with running({"HEADGATE_CONFIG": str(config)}, llm={"demo": demo()}) as service:

        async def post(path: str, content: bytes) -> tuple[int, bytes, dict[str, str]]:
            answer = await service.client.post(path, content=content, headers=own)
            return answer.status_code, answer.content, {**answer.headers, "date": ""}

        nothing = await post("/v1/providers/demo/fast/nothing", b"{}")
        assert nothing[0] == 404
        for path in (FAST, "/v1/providers/nobody/fast/breaker", f"/v1/providers/demo/{'m' * 201}/breaker"):
            for content in (b'{"state":"open"}', b'{"state":"x"}', b"["):
                assert await post(path, content) == nothing
        assert service.container.breakers().reports([]) == []


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        (FAST, b'{"state":"half_open"}', 400, "invalid_request"),
        (FAST, b'{"state":["open"]}', 400, "invalid_request"),
        (FAST, b"{}", 400, "invalid_request"),
        (FAST, b"[", 400, "invalid_json"),
        ("/v1/providers/nobody/fast/breaker", b'{"state":"open"}', 404, "model_not_found"),
        (f"/v1/providers/demo/{'m' * 201}/breaker", b'{"state":"open"}', 404, "model_not_found"),
    ],
)
async def test_what_cannot_be_done_is_refused(path: str, content: bytes, status: int, code: str) -> None:
    """P4."""
    async with running(llm={"demo": demo()}) as service:
        answer = await service.client.post(path, content=content, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_model_with_slashes_is_one_model() -> None:
    async with running(llm={"demo": demo()}) as service:
        await service.client.post("/v1/providers/demo/org/model:free/breaker", json=OPEN)
        assert list(await targets(service))[-1] == "demo/org/model:free"
