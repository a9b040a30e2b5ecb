"""Keys made and revoked beside running services: `headgate keys` and `headgate serve` in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.redis_server import RedisServer
from tests.service import eventually, process

LIVE_SECONDS = 4.0
"""Until a change is known to every replica: two are promised, a busy machine adds to them."""


def keys(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entrypoints", "keys", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def create(environ: dict[str, str], name: str) -> str:
    done = keys(environ, "create", "--name", name)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def status(url: str, key: str | None = None, header: str = "Authorization") -> int:
    scheme = "Bearer " if header == "Authorization" else ""
    headers = {} if key is None else {header: f"{scheme}{key}"}
    return httpx.get(f"{url}/v1/models", headers=headers, timeout=10).status_code


def test_a_key_lives_and_dies_without_a_restart(tmp_path: Path) -> None:
    """P2, S6."""
    environ = {"HEADGATE_KEYS_FILE": str(tmp_path / "keys.json")}
    with process(environ) as (service, url):
        assert status(url) == 200  # open, on loopback
        key = create(environ, "acme")
        eventually(lambda: status(url) == 401, LIVE_SECONDS)
        assert status(url, key) == 200
        assert status(url, key, "x-api-key") == 200
        assert status(url, key[:-1]) == 401
        body = {"model": "demo/fast", "prompt": "x"}
        mine = httpx.post(f"{url}/v1/streams", json=body, headers={"x-api-key": key, "Prefer": "respond-async"})
        stranger = create(environ, "other")
        eventually(lambda: status(url, stranger) == 200, LIVE_SECONDS)
        path = url + mine.headers["location"]
        assert httpx.get(path, headers={"x-api-key": stranger}).status_code == 404
        assert httpx.get(path, headers={"x-api-key": key}, timeout=20).status_code == 200

        assert keys(environ, "revoke", "--name", "acme").returncode == 0
        eventually(lambda: status(url, key) == 401, LIVE_SECONDS)
        assert status(url, stranger) == 200
        assert keys(environ, "revoke", "--name", "other").returncode == 0
        eventually(lambda: status(url, stranger) == 401, LIVE_SECONDS)
        assert status(url) == 401  # the last key's end opens it to nobody
        service.terminate()
        log = service.communicate(timeout=15)[0]
        assert service.returncode == 0
    assert "cannot be read" not in log
    assert key not in log


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_key_in_the_query_is_no_key_and_never_logged_27(tmp_path: Path, log_format: str) -> None:
    """BAD_INPUT 27, P1: at the most talkative level, on every door, whatever the parameter is called."""
    environ = {"HEADGATE_KEYS_FILE": str(tmp_path / "keys.json"), "LOG_LEVEL": "debug", "LOG_FORMAT": log_format}
    key = create(environ, "acme")
    planted = "planted-query-1c9a"  # what no pattern of ours takes for a key
    with process(environ) as (service, url):
        for path in ("/v1/chat/completions", "/v1/streams", "/v1/nothing"):
            for name in ("key", "api_key", "access_token", "x"):
                for value in (key, planted):
                    answer = httpx.post(f"{url}{path}", params={name: value}, json={"prompt": "x"}, timeout=10)
                    assert answer.status_code == (404 if path == "/v1/nothing" else 401)
                    assert value not in answer.text
        assert httpx.get(f"{url}/v1/streams/s_1", params={"key": key}, timeout=10).status_code == 401
        service.terminate()
        log = service.communicate(timeout=15)[0]
    assert key not in log
    assert planted not in log


def test_keys_on_redis_are_live_on_every_replica_and_outlive_an_outage_2() -> None:
    """P2, fault 2."""
    with RedisServer() as redis:
        environ = {"REDIS_URL": redis.url}
        with process(environ) as (_, first), process(environ) as (_, second):
            assert (status(first), status(second)) == (200, 200)
            key, other = create(environ, "acme"), create(environ, "other")
            for url in (first, second):
                eventually(lambda url=url: status(url, other) == 200 and status(url) == 401, LIVE_SECONDS)  # type: ignore[misc]
                assert status(url, key) == 200
            assert "acme" in keys(environ, "list").stdout
            assert keys(environ, "revoke", "--name", "acme").returncode == 0
            eventually(lambda: (status(first, key), status(second, key)) == (401, 401), LIVE_SECONDS)

            redis.kill()
            done = keys(environ, "create", "--name", "late")
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith("REDIS_URL: Redis does not serve")
            assert len(done.stderr.splitlines()) == 1
            assert (status(first, other), status(second, other), status(first)) == (200, 200, 401)

            redis.start()  # without its data: the keys last known stay valid, and nobody else's are
            late = create(environ, "late")
            eventually(lambda: (status(first, late), status(second, late)) == (200, 200), LIVE_SECONDS)
            assert status(first) == 401


def test_a_keys_file_that_cannot_be_read_is_told_before_the_port_opens(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{")
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints", "serve", "--port", "1"],
        env={"PATH": "", "HEADGATE_KEYS_FILE": str(path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"HEADGATE_KEYS_FILE: got {path}")


def test_without_redis_nobody_knows_whether_there_are_keys_so_the_network_is_not_served_1() -> None:
    """Fault 1, where a wrong guess would open the service."""
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints", "serve", "--host", "0.0.0.0", "--port", "1"],
        env={"PATH": "", "REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("REDIS_URL: Redis does not serve")
