"""`headgate serve` in a process of its own: it starts from nothing, is asked, and goes away cleanly (S12)."""

import json
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

from tests.event_source import EventSourceClient, parse
from tests.service import process


def test_it_starts_from_nothing_and_answers() -> None:
    """No key, no Redis, no file: the demo provider answers at a human pace."""
    with process() as (_, url):
        answer = httpx.post(f"{url}/v1/streams", json={"prompt": "hello"}, timeout=20)
        events = parse(answer.content)
        assert events[-1].event == "complete"
        assert len([event for event in events if event.event == "delta"]) > 20
        assert httpx.get(f"{url}/livez").json() == {"status": "ok"}
        assert httpx.get(f"{url}/v1/models").json()["data"][0]["id"] == "demo"
        assert httpx.get(f"{url}/docs").status_code == 200
        paths = httpx.get(f"{url}/openapi.json").json()["paths"]
        assert {"/v1/chat/completions", "/v1/streams", "/v1/streams/{stream_id}", "/v1/models"} <= set(paths)


def test_ask_streams_in_the_terminal() -> None:
    with process() as (_, url):
        command = [sys.executable, "-m", "entrypoints", "ask", "--url", url]
        done = subprocess.run([*command, "Why?"], capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout) > 100
        for model, words in (("demo/cut", "without a finish reason"), ("nope", "No such model")):
            done = subprocess.run(
                [*command, "x", "--model", model], capture_output=True, text=True, timeout=30, check=False
            )
            assert done.returncode == 1
            assert words in done.stderr
    done = subprocess.run([*command, "x"], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no answer from" in done.stderr


class Follower(threading.Thread):
    """A client that streams until it is told otherwise."""

    def __init__(self, url: str, model: str) -> None:
        super().__init__()
        self.url, self.model = url, model
        self.body = b""
        self.started = threading.Event()

    def run(self) -> None:
        with httpx.stream(
            "POST", f"{self.url}/v1/streams", json={"prompt": "x", "model": self.model}, timeout=30
        ) as answer:
            for piece in answer.iter_raw():
                self.body += piece
                self.started.set()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_the_drain_time_s12(sig: signal.Signals) -> None:
    """Fault 28, with one stream."""
    with process({"STREAM_DRAIN_TIMEOUT": "2"}) as (service, url):
        follower = Follower(url, "demo/long")
        follower.start()
        assert follower.started.wait(10)
        service.send_signal(sig)
        started = time.monotonic()
        while httpx.get(f"{url}/readyz").status_code != 503:
            assert time.monotonic() - started < 1.9
        refused = httpx.post(f"{url}/v1/streams", json={"prompt": "y"})
        assert (refused.status_code, refused.json()["code"]) == (503, "server_draining")
        assert service.wait(timeout=8) == 0
        assert time.monotonic() - started < 7
        follower.join(5)
        client = EventSourceClient()
        client.read(follower.body)
        # Not an end of the stream: a hint to come back, with the last id still standing.
        assert {event.event for event in client.events} == {"delta"}
        assert client.retry is not None
        assert client.last_event_id == client.events[-1].id


def test_streams_that_end_in_time_are_not_cut_s12() -> None:
    with process({"STREAM_DRAIN_TIMEOUT": "20"}) as (service, url):
        follower = Follower(url, "demo/demo")
        follower.start()
        assert follower.started.wait(10)
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=15) == 0
        follower.join(5)
        assert parse(follower.body)[-1].event == "complete"


def test_a_second_signal_ends_the_drain() -> None:
    """Fault 29."""
    with process({"STREAM_DRAIN_TIMEOUT": "60"}) as (service, url):
        follower = Follower(url, "demo/long")
        follower.start()
        assert follower.started.wait(10)
        service.send_signal(signal.SIGTERM)
        while httpx.get(f"{url}/readyz").status_code != 503:
            pass
        service.send_signal(signal.SIGINT)
        assert service.wait(timeout=6) == 0
        follower.join(5)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signals_without_end_do_not_change_the_exit_status_s12(sig: signal.Signals) -> None:
    """Whenever one comes: while it drains, while it closes, while the interpreter goes away."""
    with process() as (service, _):
        while service.poll() is None:
            service.send_signal(sig)
            signal.sigtimedwait([], 0.001)
        assert service.wait() == 0


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "entrypoints", *arguments]
    return subprocess.run(command, env={"PATH": "", **environ}, capture_output=True, text=True, timeout=30, check=False)


def test_wrong_settings_are_told_before_the_port_opens() -> None:
    done = run("serve", STREAM_IDLE_TIMEOUT="soon", REDIS_PORT="0")
    assert done.returncode == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["REDIS_PORT", "STREAM_IDLE_TIMEOUT"]


def test_open_to_the_network_only_in_so_many_words() -> None:
    done = run("serve", "--host", "0.0.0.0", "--port", "1")
    assert done.returncode == 2
    assert done.stderr.startswith("--host: got 0.0.0.0")


def test_check_shows_the_configuration_and_no_secret() -> None:
    done = run("check", OPENAI_API_KEY="sk-planted-secret", STREAM_IDLE_TIMEOUT="7")
    assert done.returncode == 0
    assert "sk-planted-secret" not in done.stdout
    assert "MemoryStreamLog" in done.stdout
    assert "OpenAIProvider" in done.stdout
    line = next(line for line in done.stdout.splitlines() if "stream.idle_timeout" in line)
    assert line.split()[1:] == ["7", "STREAM_IDLE_TIMEOUT"] or "environment" in line


def test_no_prompt_and_no_answer_in_the_logs_p1() -> None:
    with process({"LOG_LEVEL": "debug"}) as (service, url):
        prompt = "planted-prompt-5d1c jane.doe@example.com sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
        for model in ("demo/echo", "demo/error-500", "demo/cut"):
            httpx.post(
                f"{url}/v1/streams?api_key=planted-query-8e2f", json={"prompt": prompt, "model": model}, timeout=30
            )
        httpx.post(f"{url}/v1/chat/completions", content=prompt.encode(), headers={"Content-Type": "application/json"})
        service.send_signal(signal.SIGTERM)
        log = service.communicate(timeout=15)[0]
    requests = [json.loads(line) for line in log.splitlines() if '"event":"request"' in line]
    assert [request["outcome"] for request in requests] == ["served", "failed", "failed"]
    for planted in ("planted-prompt", "jane.doe", "sk-proj", "planted-query"):
        assert planted not in log
