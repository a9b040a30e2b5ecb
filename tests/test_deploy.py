"""What deploy/ has for operators agrees with the code, and its nginx passes streams through as they come."""

import asyncio
import contextlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.settings import Settings, get_settings
from adapters.settings_layers import ENVIRONMENT
from container import Container
from entrypoints.cli import _parser
from entrypoints.http.server.limits import ConnectionLimits
from entrypoints.main import build_app
from entrypoints.server import LAST_WORDS_SECONDS
from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import ask, call
from tests.fleet.readers import StreamReader, whole_log
from tests.redis_server import RedisServer
from tests.service import START_SECONDS, free_port

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES: dict[str, dict[str, Any]] = {
    one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
}
POD: dict[str, Any] = KUBERNETES["Deployment"]["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]
NGINX_CONF = (DEPLOY / "nginx.conf").read_text()
NGINX = shutil.which("nginx")
REPLICAS = ("headgate-1", "headgate-2")
SENT = 20
"""Tokens that the model `stall-20` sends before it is silent for ever."""


def settings_of(environ: dict[str, str]) -> Settings:
    """What a replica makes of these variables, with the example of a file. Every one of them must be known."""
    assert set(environ) <= {*ENVIRONMENT, "HEADGATE_CONFIG"}
    return get_settings({**environ, "HEADGATE_CONFIG": str(DEPLOY / "headgate.toml")})


def compose_settings() -> Settings:
    """Those of the replicas of compose.yaml, without what its user may add."""
    given = COMPOSE["services"]["headgate-1"]["environment"]
    return settings_of({name: re.sub(r"\$\{\w+:-\}", "", value) for name, value in given.items()})


def kubernetes_settings() -> Settings:
    """Those of kubernetes.yaml, with the secrets that its first lines make."""
    secrets = {"REDIS_URL": "rediss://:password@redis.example.com:6379/0", "OPENAI_API_KEY": "sk-example"}
    given = {
        row["name"]: row.get("value") or secrets[row["valueFrom"]["secretKeyRef"]["key"]] for row in CONTAINER["env"]
    }
    return settings_of(given)


@pytest.mark.parametrize("settings", [compose_settings, kubernetes_settings])
def test_a_replica_is_of_a_fleet_and_closed_to_strangers(settings: Any) -> None:
    made: Settings = settings()
    assert made.redis.enabled
    assert made.keys
    assert made.access.proxies
    assert not Container(settings=made).callers().open


def seconds_of(directive: str) -> float:
    """A duration of nginx.conf that stands there once."""
    (value,) = re.findall(rf"^\s+{directive} (\d+)s;", NGINX_CONF, re.MULTILINE)
    return float(value)


def test_the_times_of_the_parts_fit() -> None:
    """S10, S12: silence that is no failure is waited for, and a process that drains is not killed."""
    compose, kubernetes = compose_settings(), kubernetes_settings()
    for service in REPLICAS:
        grace = float(COMPOSE["services"][service]["stop_grace_period"].removesuffix("s"))
        assert grace > compose.stream.drain_timeout + LAST_WORDS_SECONDS
    before = float(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > before + kubernetes.stream.drain_timeout + LAST_WORDS_SECONDS
    for settings in (compose, kubernetes):
        silent = settings.queue.max_wait + settings.stream.total_timeout
        assert seconds_of("proxy_read_timeout") > max(silent, settings.stream.heartbeat_interval)
    assert seconds_of("keepalive_timeout") < ConnectionLimits().keep_alive_seconds


def test_the_ports_and_paths_are_those_of_the_service() -> None:
    port = _parser().parse_args(["serve"]).port
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^EXPOSE (.+)$", dockerfile, re.MULTILINE) == [str(port)]
    assert re.findall(r"^\s+server ([\w-]+):(\d+) ", NGINX_CONF, re.MULTILINE) == [(one, str(port)) for one in REPLICAS]
    assert set(COMPOSE["services"]) == {*REPLICAS, "redis", "nginx"}
    assert re.findall(r"listen (\d+);", NGINX_CONF) == [COMPOSE["services"]["nginx"]["ports"][0].rpartition(":")[2]]
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": port}]
    assert KUBERNETES["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    paths = build_app(Container(settings=compose_settings()))[0].openapi()["paths"]
    probes = [CONTAINER[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")]
    assert probes == ["/livez", "/livez", "/readyz"]
    check = COMPOSE["services"]["headgate-1"]["healthcheck"]["test"][-1]
    assert f"http://127.0.0.1:{port}/readyz" in check
    assert {*probes, "/metrics"} <= set(paths)


def test_the_image_has_all_that_is_installed() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert sources == {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / source).exists() for source in sources)
    packages = re.search(r"^only-include = \[(.+)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages is not None
    assert sources > set(re.findall(r'"([^"]+)"', packages[1]))


def test_redis_keeps_what_it_has_and_evicts_nothing() -> None:
    command = COMPOSE["services"]["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert (options["--maxmemory-policy"], options["--appendonly"]) == ("noeviction", "yes")


def test_the_pods_of_the_deployment_are_those_of_the_service_and_the_budget() -> None:
    labels = KUBERNETES["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert KUBERNETES["Deployment"]["spec"]["replicas"] == kubernetes_settings().rate_limit.replicas >= 2
    assert compose_settings().rate_limit.replicas == len(REPLICAS)
    assert KUBERNETES["Service"]["spec"]["selector"] == labels
    assert KUBERNETES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert POD["enableServiceLinks"] is False


def test_nginx_conf_is_balanced_and_ends_its_lines() -> None:
    """What can be told of it without nginx."""
    text = re.sub(r"#.*", "", NGINX_CONF)
    assert text.count("{") == text.count("}") > 0
    assert all(line.endswith((";", "{", "}")) for line in map(str.strip, text.splitlines()) if line)
    assert "non_idempotent" not in text
    assert "proxy_buffering off;" in text


def configuration(folder: str, port: int, replicas: list[str]) -> Path:
    """nginx.conf with addresses of this machine, and its files in this folder."""
    text = NGINX_CONF.replace("/tmp/", f"{folder}/").replace("listen 8080;", f"listen 127.0.0.1:{port};")
    for name, replica in zip(REPLICAS, replicas, strict=True):
        text = text.replace(f"{name}:8000", replica)
    path = Path(folder) / "nginx.conf"
    path.write_text(text)
    return path


@contextlib.contextmanager
def nginx_before(fleet: Fleet, program: str) -> Iterator[str]:
    """The address of an nginx in front of the fleet."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="headgate-nginx-") as folder, (Path(folder) / "output").open("w") as output:
        path = configuration(folder, port, [one.url.removeprefix("http://") for one in fleet.replicas])
        command = [program, "-p", folder, "-e", "stderr", "-c", str(path)]
        subprocess.run([*command, "-t"], check=True, capture_output=True, timeout=START_SECONDS)
        nginx = subprocess.Popen([*command, "-g", "daemon off;"], stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not listens(port):
                assert nginx.poll() is None, Path(output.name).read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            nginx.terminate()
            nginx.wait(START_SECONDS)


def listens(port: int) -> bool:
    """Whether somebody does."""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


if NGINX is not None:

    @pytest.fixture(scope="module")
    def replicas() -> Iterator[Fleet]:
        with RedisServer() as redis, running_fleet(redis, count=2) as fleet:
            yield fleet

    @pytest.fixture
    def front(replicas: Fleet) -> Iterator[str]:
        with nginx_before(replicas, str(NGINX)) as url:
            yield url

    async def test_events_pass_nginx_as_they_come_and_leaving_reaches_upstream_s10_r8(
        replicas: Fleet, front: str
    ) -> None:
        """S10, R8: the upstream is silent after its tokens, and they are there before it says more."""
        async with ask(
            front, "POST", "/v1/streams", {"model": "openai/stall-20", "prompt": "nginx"}, {"X-Stream-Grace": "0"}
        ) as answer:
            seen = b""
            pieces = answer.pieces()
            async with asyncio.timeout(5.0):
                while f'" tok{SENT}"'.encode() not in seen:
                    seen += await anext(pieces)
            await pieces.aclose()
            assert (await replicas.seen("stall-20"))["open"] == 1

        async def hung_up() -> bool:
            return bool((await replicas.seen("stall-20"))["open"] == 0)

        await eventually(hung_up, 2.0)
        assert (await call(front, "GET", "/metrics"))[0].status == 404

    async def test_a_stream_is_resumed_through_nginx_s3(front: str) -> None:
        """S3: connection by connection, to whichever replica nginx takes."""
        first = StreamReader()
        body = {"model": "openai/ok-slow", "prompt": "resume", "max_tokens": 50}
        async with ask(front, "POST", "/v1/streams", body) as answer:
            await first.take(answer, 500)
        while not first.ended:
            assert await first.resume(front, 1500) == 200
        first.check()
        assert await first.resume(front) == 204
        assert await whole_log(front, first.stream_id) == first.events

    async def test_a_post_whose_replica_dies_is_not_sent_to_another(replicas: Fleet, front: str) -> None:
        """It may have been executed. The last test: it kills a replica."""
        body = {"model": "openai/silent", "messages": [{"role": "user", "content": "once"}], "stream": True}

        async def kill_the_one() -> bool:
            for replica in replicas.replicas:
                if (await replica.metrics())["headgate_open_generations"]:
                    replica.process.kill()
                    return True
            return False

        async with asyncio.TaskGroup() as group:
            posting = group.create_task(call(front, "POST", "/v1/chat/completions", body))
            group.create_task(eventually(kill_the_one))
        assert posting.result()[0].status == 502
        assert (await replicas.seen("silent"))["requests"] == 1
