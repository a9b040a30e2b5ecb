"""`headgate worker` in processes of their own, beside a fleet."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from tests.fleet.harness import ENVIRON, Fleet, eventually


async def count(fleet: Fleet, command: str, key: str) -> int:
    """What a command says of a key."""
    return int((await fleet.redis.command(command, key)).removeprefix(":"))


@contextlib.contextmanager
def worker(fleet: Fleet, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`headgate worker` beside this fleet."""
    settings = {**ENVIRON, "OPENAI_BASE_URL": fleet.upstream, "REDIS_URL": fleet.redis.url, **environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "entrypoints", "worker"], env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        output, _ = process.communicate()
        assert b"Traceback" not in output, output[-3000:].decode()


async def enlisted(fleet: Fleet, workers: int = 1) -> None:
    """So many workers are ready."""

    async def holds() -> bool:
        return await count(fleet, "ZCARD", "headgate:queue:workers") >= workers

    await eventually(holds, 10.0)
