"""What deploy/ has for operators agrees with the code. What its nginx does is in test_nginx.py."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.settings import Settings, get_settings
from adapters.settings_layers import ENVIRONMENT
from container import Container
from entrypoints.cli import _parser
from entrypoints.http.bodies import MAX_BODY_BYTES
from entrypoints.http.server.limits import ConnectionLimits
from entrypoints.main import build_app
from entrypoints.server import LAST_WORDS_SECONDS
from tests.nginx import NGINX_CONF, REPLICAS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES: dict[str, dict[str, Any]] = {
    one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
}
POD: dict[str, Any] = KUBERNETES["Deployment"]["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]
BODIES_BYTES = 256 << 20
"""Of all bodies that are being read (G5)."""


def settings_of(environ: dict[str, str]) -> Settings:
    """What a replica makes of these variables, with the example of a file. Every one of them must be known."""
    assert set(environ) <= {*ENVIRONMENT, "HEADGATE_CONFIG"}
    return get_settings({**environ, "HEADGATE_CONFIG": str(DEPLOY / "headgate.toml")})


def compose_settings() -> Settings:
    """Those of the replicas of compose.yaml, without what its user may add."""
    given = COMPOSE["services"]["headgate-1"]["environment"]
    return settings_of({name: re.sub(r"\$\{\w+:(-\}|\?.+\})", "", value) for name, value in given.items()})


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


def test_the_bounds_of_nginx_are_those_of_the_service_or_wider() -> None:
    """Who is refused is refused by Headgate where it can be, which counts it; nginx holds no body (G2 to G5)."""
    limits = ConnectionLimits()
    assert f"client_max_body_size {MAX_BODY_BYTES >> 20}m;" in NGINX_CONF
    assert f"large_client_header_buffers 2 {limits.head_bytes >> 10}k;" in NGINX_CONF
    assert seconds_of("client_header_timeout") == limits.head_seconds
    assert seconds_of("client_body_timeout") > limits.body_seconds
    assert seconds_of("send_timeout") == limits.send_seconds
    for size in (MAX_BODY_BYTES, limits.head_bytes):
        assert f" larger than {size} bytes." in NGINX_CONF


def test_no_upstream_of_nginx_can_be_marked_as_failed() -> None:
    """BAD_INPUT 43: a counter of failures is one that clients can drive."""
    servers = re.findall(r"^\s+server headgate-.+$", NGINX_CONF, re.MULTILINE)
    assert len(servers) == len(REPLICAS)
    assert all(line.endswith(" max_fails=0;") for line in servers)


def test_the_trusted_proxy_is_nginx_alone() -> None:
    """The network's gateway, from which clients come, is in the network: it must not be trusted."""
    address = COMPOSE["services"]["nginx"]["networks"]["front"]["ipv4_address"]
    (network,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    assert [str(one) for one in compose_settings().access.proxies] == [f"{address}/32"]
    assert ip_address(address) in ip_network(network["subnet"])


def test_the_memory_of_a_replica_has_room_for_all_its_bounds() -> None:
    """With 100 MiB for the process, and 10,000 open streams of 36 KB (docs/performance.md)."""
    limit = CONTAINER["resources"]["limits"]["memory"]
    assert limit == f"{COMPOSE['services']['headgate-1']['mem_limit'].removesuffix('m')}Mi"
    for settings in (compose_settings(), kubernetes_settings()):
        bounds = settings.stream.log_max_bytes + settings.cache.l1_max_bytes + BODIES_BYTES
        assert int(limit.removesuffix("Mi")) << 20 > bounds + (100 << 20) + settings.stream.max_concurrent * 36_000


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
    published = COMPOSE["services"]["nginx"]["ports"][0].rpartition(":")[2]
    assert COMPOSE["services"]["nginx"]["healthcheck"]["test"][-1] == f"http://127.0.0.1:{published}/livez"
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


def test_redis_keeps_what_it_has_and_evicts_nothing_and_has_a_password() -> None:
    """A password that nobody has committed, and no way to it from outside."""
    redis = COMPOSE["services"]["redis"]
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert (options["--maxmemory-policy"], options["--appendonly"]) == ("noeviction", "yes")
    assert options["--requirepass"].startswith("${REDIS_PASSWORD:?")
    for replica in REPLICAS:
        assert COMPOSE["services"][replica]["environment"]["REDIS_PASSWORD"] == options["--requirepass"]
    assert "ports" not in redis
    assert redis["networks"] == ["back"]
    assert COMPOSE["networks"]["back"] == {"internal": True}


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
