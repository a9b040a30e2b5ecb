"""`headgate queue` and `headgate worker` in processes of their own, beside a service that is busy."""

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.faults import provider
from tests.redis_server import RedisServer
from tests.service import eventually, process


def headgate(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entrypoints", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    with RedisServer() as redis, provider.process() as upstream:
        yield {
            "REDIS_URL": redis.url,
            "OPENAI_BASE_URL": upstream,
            "OPENAI_API_KEY": "sk-x",
            "STREAM_MAX_CONCURRENT": "1",
            "RETRY_MAX_ATTEMPTS": "1",
            "STREAM_ORPHAN_GRACE": "60",
        }


def begin(url: str, model: str, prompt: str, **fields: object) -> str:
    body = {"model": f"openai/{model}", "prompt": prompt, **fields}
    answer = httpx.post(f"{url}/v1/streams", json=body, headers={"Prefer": "respond-async"}, timeout=10)
    return str(answer.json()["stream_id"])


def test_an_operator_sees_who_waits_and_what_failed_and_tries_it_again_q7(environ: dict[str, str]) -> None:
    """Q7, fault 26. The request failed after it had waited its turn: it can be replayed, and nothing of it is shown."""
    with process(environ) as (_, url):
        holder = begin(url, "ok-slow", "a long one", max_tokens=10_000)
        poison = begin(url, "500-once", "a secret prompt")
        behind = begin(url, "ok", "another")
        listed = headgate(environ, "queue", "list").stdout
        assert [line.split()[0] for line in listed.splitlines()] == ["STREAM", poison, behind]
        assert headgate(environ, "queue", "dead").stdout.splitlines()[1:] == []
        assert httpx.delete(f"{url}/v1/streams/{holder}", timeout=10).is_success
        eventually(lambda: poison in headgate(environ, "queue", "dead").stdout)
        dead = headgate(environ, "queue", "dead").stdout
        assert " provider_" in dead
        assert "secret" not in dead + listed
        wrong = headgate(environ, "queue", "replay", "s_none")
        assert (wrong.returncode, "no dead letter" in wrong.stderr) == (2, True)
        assert headgate(environ, "queue", "replay").returncode == 2
        replayed = headgate(environ, "queue", "replay", "--all")
        assert (replayed.returncode, replayed.stderr) == (0, "")
        old, new = replayed.stdout.strip().split(" is now ")
        assert old == poison
        with httpx.stream("GET", f"{url}/v1/streams/{new}", timeout=20) as answer:
            assert "event: complete" in answer.read().decode()
        assert headgate(environ, "queue", "dead").stdout.splitlines()[1:] == []


def test_without_redis_there_is_no_queue_to_look_at_and_none_to_serve() -> None:
    for arguments in (("queue", "list"), ("worker",)):
        done = headgate({}, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "REDIS_URL" in done.stderr


def test_with_redis_away_the_command_says_so(environ: dict[str, str]) -> None:
    done = headgate({**environ, "REDIS_URL": "redis://127.0.0.1:1/0"}, "queue", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "REDIS_URL: Redis does not serve (CONNECTION)\n"
