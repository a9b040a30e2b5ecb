"""A service in a process of its own that has no file descriptor left (fault 40): it goes on, and recovers at once."""

import asyncio
import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.faults.harness import ENVIRON
from tests.fleet.http_client import ask
from tests.fleet.readers import StreamReader
from tests.service import eventually, process

LIMIT = 64
CROWD = 4 * LIMIT


@contextmanager
def crowd(pid: int, url: str) -> Iterator[None]:
    """More connections than the process may have; nothing is left when they have come."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    address = urlsplit(url)
    with ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=5))
        eventually(lambda: len(list(Path(f"/proc/{pid}/fd").iterdir())) == LIMIT)
        yield


async def test_who_is_there_goes_on_and_who_comes_later_is_answered_when_there_is_room(tmp_path: Path) -> None:
    """Fault 40: what is too much is hung up on at once, by libuv, so that a load balancer can ask another replica."""
    with (tmp_path / "log").open("w") as log, process(output=log) as (service, url):
        body = {"prompt": "x", "model": "demo/demo"}
        async with ask(url, "POST", "/v1/streams", body) as answer:
            reader = StreamReader()
            await reader.take(answer, limit=100)
            with crowd(service.pid, url):
                before = len(reader.events)
                await reader.take(answer, limit=1_000)
                assert len(reader.events) > before
            await reader.take(answer)
            assert b"event: complete" in reader.terminal
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/readyz")).status_code == 200
        assert service.poll() is None
        assert "Traceback" not in (tmp_path / "log").read_text()


async def test_no_provider_is_blamed_for_it_b5(upstream: str, tmp_path: Path) -> None:
    """Fault 40: what cannot be called is 503, no breaker opens, and the next call after it is answered."""
    environ = {**ENVIRON, "CB_FAILURE_THRESHOLD": "3", "OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "sk-x"}
    with (tmp_path / "log").open("w") as log, process(environ, log) as (service, url):
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:

            async def asked(number: int) -> tuple[int, str | None, bool]:
                prompt = {"model": "openai/ok", "messages": [{"role": "user", "content": str(number)}]}
                answer = await client.post("/v1/chat/completions", json=prompt)
                return answer.status_code, answer.json().get("error", {}).get("code"), "retry-after" in answer.headers

            await asyncio.gather(*(client.get("/livez") for _ in range(4)))  # four connections that are kept
            with crowd(service.pid, url):
                got = await asyncio.gather(*(asked(number) for number in range(4)))
                assert set(got) == {(503, "no_connection_left", True)}
                targets = (await client.get("/v1/providers")).json()["targets"]
                assert not [target for target in targets if target["state"] != "closed" or target["failures"]]
            assert await asked(4) == (200, None, False)
        codes = [
            json.loads(line)["failures"] for line in (tmp_path / "log").read_text().splitlines() if "failures" in line
        ]
        assert "no_connection_left" in json.dumps(codes)


async def test_silent_connections_shut_nobody_out_g4(tmp_path: Path) -> None:
    """BAD_INPUT 45: 300 of them, of a process that may have 256 files. A stream that is open goes on."""
    with (tmp_path / "log").open("w") as log, process(output=log, files=256) as (service, url):
        address = urlsplit(url)
        async with ask(url, "POST", "/v1/streams", {"prompt": "x", "model": "demo/long"}) as answer:
            reader = StreamReader()
            await reader.take(answer, limit=100)
            with ExitStack() as stack:
                for _ in range(300):
                    stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=5))
                async with httpx.AsyncClient(base_url=url, timeout=5) as client:
                    for path in ("/livez", "/readyz", "/metrics"):
                        assert (await client.get(path)).status_code == 200
                    body = {"model": "demo", "messages": [{"role": "user", "content": "x"}]}
                    assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
                before = len(reader.events)
                await reader.take(answer, limit=200)
                assert len(reader.events) > before
                assert len(list(Path(f"/proc/{service.pid}/fd").iterdir())) < 256
        assert service.poll() is None
        assert "Traceback" not in (tmp_path / "log").read_text()
