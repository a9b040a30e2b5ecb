"""`headgate serve --workers`: processes behind one port, kept running, and gone together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.redis_server import RedisServer
from tests.service import eventually, process

Two = tuple["subprocess.Popen[str]", str]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with RedisServer() as redis:
        environ = {
            "REDIS_URL": redis.url,
            "TMPDIR": str(tmp_path),
        }  # a supervisor that is killed leaves its folder there
        with process(environ, arguments=["--workers", "2"]) as service:
            yield service


def children(pid: int) -> set[int]:
    """The processes that it has started and that run."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return {int(child) for child in path.read_text().split()} if path.exists() else set()


def running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def answered(url: str) -> bool:
    """By a connection of its own."""
    body = {"prompt": f"{time.monotonic()}", "model": "demo/instant"}
    return b"event: complete" in httpx.post(f"{url}/v1/streams", json=body).content


def test_workers_share_a_port_and_streams_and_one_that_dies_is_replaced_s12(two: Two) -> None:
    supervisor, url = two
    eventually(lambda: len(children(supervisor.pid)) == 2)
    started = httpx.post(f"{url}/v1/streams", json={"prompt": "x"}, headers={"Prefer": "respond-async"})
    location = started.headers["location"]
    for _ in range(10):  # whichever worker is asked knows it
        with httpx.stream("GET", f"{url}{location}") as answer:
            assert answer.status_code == 200
            assert next(answer.iter_lines()).startswith("id: ")
    assert answered(url)
    eventually(lambda: "headgate_requests_total{" in httpx.get(f"{url}/metrics").text)  # whichever has counted it
    first = children(supervisor.pid)
    os.kill(min(first), signal.SIGKILL)
    eventually(lambda: len(children(supervisor.pid) - first) == 1)
    eventually(lambda: all(answered(url) for _ in range(10)))
    now = children(supervisor.pid)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(20) == 0
    assert not any(map(running, now))


def test_workers_end_when_their_supervisor_is_gone(two: Two) -> None:
    supervisor, _ = two
    eventually(lambda: len(children(supervisor.pid)) == 2)
    workers = children(supervisor.pid)
    supervisor.kill()
    eventually(lambda: not any(map(running, workers)), 20)


def test_workers_without_redis_are_refused() -> None:
    command = [sys.executable, "-m", "entrypoints", "serve", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "REDIS_URL is not set" in done.stderr


def test_a_configuration_that_no_worker_takes_ends_them_all() -> None:
    command = [sys.executable, "-m", "entrypoints", "serve", "--workers", "2", "--host", "0.0.0.0", "--port", "0"]
    with RedisServer() as redis:
        environ = {"REDIS_URL": redis.url, "PATH": ""}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)
    assert done.returncode == 2
    assert "headgate keys create" in done.stderr
