"""`headgate worker` in processes of their own, beside a fleet."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.fleet.harness import ENVIRON, Fleet, eventually
from tests.service import START_SECONDS


async def count(fleet: Fleet, command: str, key: str) -> int:
    """What a command says of a key."""
    return int((await fleet.redis.command(command, key)).removeprefix(":"))


@contextlib.contextmanager
def worker(fleet: Fleet, log: Path | None = None, /, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`headgate worker` beside this fleet, which writes at the end of `log`."""
    settings = {**ENVIRON, "OPENAI_BASE_URL": fleet.upstream, "REDIS_URL": fleet.redis.url, **environ}
    with tempfile.NamedTemporaryFile(prefix="headgate-worker-") as own:
        path = log or Path(own.name)
        with path.open("ab") as output:
            command = [sys.executable, "-m", "entrypoints", "worker"]
            process = subprocess.Popen(command, env=settings, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            said = path.read_bytes()
            assert b"Traceback" not in said, said[-3000:].decode()


def request_lines(*logs: str) -> list[dict[str, object]]:
    """The line of each request in these logs (LOG_LEVEL info)."""
    lines = (json.loads(line) for log in logs for line in log.splitlines() if line.endswith("}"))
    return [line for line in lines if line.get("event") == "request"]


def recorded(*logs: str, by: str = "stream_id") -> Counter[str]:
    """How many of them there are, by one of their fields."""
    return Counter(str(line[by]) for line in request_lines(*logs))


async def enlisted(fleet: Fleet, workers: int = 1) -> None:
    """So many workers are ready."""

    async def holds() -> bool:
        return await count(fleet, "ZCARD", "headgate:queue:workers") >= workers

    await eventually(holds, START_SECONDS)
