"""A part of the process with a defect: it is not ready, lets its streams go on, and ends itself (G8). And signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.event_source import EventSourceClient
from tests.faults.planted import Plant
from tests.redis_server import RedisServer
from tests.service import eventually, process

STUCK = 70
WORKER = [sys.executable, "-m", "entrypoints", "worker"]
DRAIN_SECONDS = 2.0
END_SECONDS = DRAIN_SECONDS + 5.0
"""When a process that was told to go, or has a defect, is gone."""
BUSY_SECONDS = 3.0
"""What a busy machine may add to that here."""
ENVIRON = {"STREAM_DRAIN_TIMEOUT": str(DRAIN_SECONDS), "LOG_LEVEL": "warning", "LOG_FORMAT": "json"}


class Follower(threading.Thread):
    """A client that reads a stream that has no end of its own."""

    def __init__(self, url: str, prompt: str = "x") -> None:
        super().__init__(daemon=True)
        self.client, self.error = EventSourceClient(), ""
        self._url, self._prompt = url, prompt
        self.started = threading.Event()
        self.pieces = 0
        self.start()

    def run(self) -> None:
        try:
            body = {"prompt": self._prompt, "model": "demo/long"}
            with httpx.stream("POST", f"{self._url}/v1/streams", json=body, timeout=30) as answer:
                for piece in answer.iter_raw():
                    self.client.read(piece)
                    self.pieces += 1
                    self.started.set()
        except httpx.TransportError as error:
            self.error = repr(error)

    def goes_on(self) -> bool:
        """Whether it hears more than it has."""
        before = self.pieces
        eventually(lambda: self.pieces > before or not self.is_alive(), 5)
        return self.is_alive()


def lines(log: Path, event: str) -> list[dict[str, Any]]:
    """The lines of a log that begin with these words."""
    rows = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return [row for row in rows if str(row["event"]).startswith(event)]


def exits(service: "subprocess.Popen[str]", since: float, seconds: float = END_SECONDS) -> int:
    """Its exit status, which is there in time."""
    status = service.wait(timeout=seconds + BUSY_SECONDS)
    assert time.monotonic() - since < seconds + BUSY_SECONDS
    return status


@contextmanager
def planted(name: str, folder: Path, **environ: str) -> Iterator[tuple["subprocess.Popen[str]", str, Plant, Path]]:
    """A service with this defect, and its log."""
    plant, log = Plant(folder, name), folder / "log"
    with log.open("w") as output, process({**ENVIRON, **plant.environ, **environ}, output) as (service, url):
        yield service, url, plant, log


@pytest.mark.parametrize("part", ["sweeper", "admission", "watchdog", "breakers", "stream_log"])
def test_a_part_with_a_defect_is_told_by_readiness_and_ends_the_process_g8(part: str, tmp_path: Path) -> None:
    """New work is refused at once, the open stream goes on up to the drain time, and then it is told to come back."""
    with RedisServer() as redis, planted(part, tmp_path, REDIS_URL=redis.url) as (service, url, plant, log):
        follower = Follower(url)
        assert follower.started.wait(10)
        plant.trigger()
        eventually(lambda: httpx.get(f"{url}/readyz").status_code == 503, 15)
        broken = time.monotonic()
        assert httpx.get(f"{url}/readyz").json() == {"status": "broken", "part": part}
        assert httpx.get(f"{url}/livez").status_code == 200
        assert f'headgate_defects_total{{where="{part}"}}' in httpx.get(f"{url}/metrics").text
        refused = httpx.post(f"{url}/v1/streams", json={"prompt": "y"})
        assert (refused.status_code, refused.json()["code"]) == (503, "server_draining")
        assert follower.goes_on()
        assert exits(service, broken) == STUCK
        assert time.monotonic() - broken > DRAIN_SECONDS - 1.5
        follower.join(5)
        assert follower.error == ""
        assert {event.event for event in follower.client.events} == {"delta"}
        assert follower.client.retry is not None
        (ended,) = lines(log, "a part has ended by a defect")
        assert ended["where"] == part
        assert "Traceback" in ended["exception"]
        assert "sk-proj" not in log.read_text()


def test_a_worker_with_a_defect_ends_too_g8(tmp_path: Path) -> None:
    plant, log = Plant(tmp_path, "sweeper"), tmp_path / "log"
    with RedisServer() as redis, log.open("w") as output:
        environ = {"PATH": os.environ["PATH"], **ENVIRON, **plant.environ, "REDIS_URL": redis.url, "LOG_LEVEL": "info"}
        worker = subprocess.Popen(
            [sys.executable, "-m", "entrypoints", "worker"], env=environ, stdout=output, stderr=output, text=True
        )
        try:
            eventually(lambda: bool(_enlisted(redis)), 20)
            plant.trigger()
            assert exits(worker, time.monotonic()) == STUCK
        finally:
            worker.kill()
            worker.wait()
    assert len(lines(log, "a part has ended by a defect")) == 1


def _enlisted(redis: RedisServer) -> int:
    """How many workers the fleet has."""
    with socket.create_connection(("127.0.0.1", redis.port)) as connection:
        connection.sendall(b"ZCARD headgate:queue:workers\r\n")
        return int(connection.recv(64).strip(b":\r\n"))


def _children(pid: int) -> set[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return {int(child) for child in path.read_text().split()}


def test_workers_with_a_defect_are_replaced_g8(tmp_path: Path) -> None:
    plant = Plant(tmp_path, "sweeper")
    with RedisServer() as redis, (tmp_path / "log").open("w") as output:
        environ = {**ENVIRON, **plant.environ, "REDIS_URL": redis.url, "TMPDIR": str(tmp_path)}
        with process(environ, output, ["--workers", "2"]) as (supervisor, url):
            eventually(lambda: len(_children(supervisor.pid)) == 2)
            first = _children(supervisor.pid)
            plant.trigger()
            eventually(lambda: not _children(supervisor.pid) & first, 15)
            plant.heal()
            eventually(lambda: len(_children(supervisor.pid)) == 2, 15)
            eventually(lambda: _ready(url), 15)
            supervisor.send_signal(signal.SIGTERM)
            assert supervisor.wait(20) == 0
    died = lines(tmp_path / "log", "a worker died")
    assert {row["status"] for row in died} == {STUCK}


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("generations hang", 0),
        ("the end hangs whatever is tried", STUCK),
        ("a thread hangs", STUCK),
        ("the loop is stuck", STUCK),
        ("the interpreter is stuck", -signal.SIGALRM),
        ("drain", 0),
        ("goodbye", 0),
        ("sweeper", STUCK),
    ],
)
def test_sigterm_ends_the_process_in_every_state_g8(state: str, status: int, tmp_path: Path) -> None:
    """What nothing of ours can end any more, the kernel does."""
    with planted(state, tmp_path) as (service, url, plant, log):
        follower = Follower(url)
        assert follower.started.wait(10)
        half = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))  # a client that never goes on
        half.sendall(b"POST /v1/streams HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        plant.trigger()
        threading.Event().wait(0.3)  # by then it is stuck
        service.send_signal(signal.SIGTERM)
        assert exits(service, time.monotonic()) == status
        half.close()
        follower.join(5)
        assert not follower.is_alive()
        if status == STUCK and state != "sweeper":
            (gone,) = lines(log, "the process did not end in time")
            assert gone["where"]
        if state in {"drain", "goodbye"}:
            assert {row["where"] for row in lines(log, "a defect")} == {"shutdown"}


def test_sigterm_ends_a_replica_whose_redis_hangs_g8(tmp_path: Path) -> None:
    with RedisServer() as redis, (tmp_path / "log").open("w") as output:
        with process({**ENVIRON, "REDIS_URL": redis.url}, output) as (service, url):
            follower = Follower(url)
            assert follower.started.wait(10)
            redis.pause()
            service.send_signal(signal.SIGTERM)
            assert exits(service, time.monotonic()) == 0
            follower.join(5)
        redis.resume()


DEADLY = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPROF, signal.SIGIO, signal.SIGRTMAX)


def test_no_signal_but_those_that_mean_it_cuts_a_stream_g8(tmp_path: Path) -> None:
    """Row 52."""
    with (tmp_path / "log").open("w") as output, process(ENVIRON, output) as (service, url):
        follower = Follower(url)
        assert follower.started.wait(10)
        for _ in range(3):
            for number in DEADLY:
                service.send_signal(number)
            assert follower.goes_on()
        assert httpx.get(f"{url}/readyz").status_code == 200
        eventually(lambda: bool(lines(tmp_path / "log", "SIGHUP")))
        service.send_signal(signal.SIGTERM)
        assert service.wait(10) == 0
    assert len(lines(tmp_path / "log", "SIGHUP: nothing to reload yet")) == 1


def _catches_hangup(pid: int) -> bool:
    """Whether it has come as far as that: an interpreter that is just starting dies of any signal."""
    (mask,) = (line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigCgt" in line)
    return bool(int(mask, 16) & 1 << signal.SIGHUP - 1)


def test_neither_the_supervisor_nor_a_worker_dies_of_them_g8(tmp_path: Path) -> None:
    """Row 52."""
    with RedisServer() as redis, (tmp_path / "log").open("w") as output:
        environ = {**ENVIRON, "REDIS_URL": redis.url, "TMPDIR": str(tmp_path)}
        queue = subprocess.Popen(
            [sys.executable, "-m", "entrypoints", "worker"], env={"PATH": os.environ["PATH"], **environ}, stdout=output
        )
        try:
            with process(environ, output, ["--workers", "2"]) as (supervisor, url):
                eventually(lambda: len(_children(supervisor.pid)) == 2)
                eventually(lambda: bool(_enlisted(redis)), 20)
                workers = _children(supervisor.pid)
                eventually(lambda: all(map(_catches_hangup, workers)))
                follower = Follower(url)
                assert follower.started.wait(10)
                for number in DEADLY:
                    for pid in (supervisor.pid, queue.pid, *workers):
                        os.kill(pid, number)
                assert follower.goes_on()
                assert _children(supervisor.pid) == workers
                assert queue.poll() is None
                eventually(lambda: len(lines(tmp_path / "log", "SIGHUP: nothing to reload yet")) == 4)
                supervisor.send_signal(signal.SIGTERM)
                assert supervisor.wait(20) == 0
            queue.terminate()
            assert queue.wait(15) == 0
        finally:
            queue.kill()
            queue.wait()
