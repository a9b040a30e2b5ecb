"""The process under attack: started fresh from any checkout, its memory watched, and what it can do afterwards."""

import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import free_port, redis_server, running

KEY = "hg-bench-attacker"
KEYED = f"""
[tiers.slow]
requests_per_minute = 6
tokens_per_minute = 1_000_000_000
max_concurrent_streams = 100
[keys.attacker]
sha256 = "{hashlib.sha256(KEY.encode()).hexdigest()}"
tier = "slow"
"""
ENVIRON = {"LOG_FORMAT": "json", "LOG_LEVEL": "warning"}
CHAT = {"model": "demo/instant", "messages": [{"role": "user", "content": "hi"}]}
PROBE_ON_SECONDS = 0.5
"""For which the second client goes on after an attack."""
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Program:
    """Whose `headgate` is attacked: that of the Python at `python`, from the checkout at `folder`."""

    python: str
    folder: Path


@dataclass
class Target:
    """One process, and what was seen of it."""

    pid: int
    port: int
    delays: dict[str, list[float]] = field(default_factory=dict)
    """In ms, as the probe gives them, by what went on."""

    def memory(self, name: str) -> int:
        """Bytes, from the process's status."""
        rows = dict(row.split(":", 1) for row in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        return int(rows[name].split()[0]) * 1024

    def forget_peak(self) -> int:
        """Makes what is resident now the peak; how much that is."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.memory("VmRSS")

    @contextlib.contextmanager
    def felt(self, name: str) -> Iterator[None]:
        """A second client asks while the block runs."""
        command = [sys.executable, "-m", "bench.attacks.probe", str(self.port)]
        probe = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert probe.stdout is not None
            probe.stdout.readline()
            yield
            time.sleep(PROBE_ON_SECONDS)
            self.delays[name] = json.loads(probe.communicate("\n", timeout=60)[0])
        finally:
            probe.kill()
            probe.wait()

    def afterwards(self, key: str | None) -> str:
        """What it is able to do now: an answer of the built-in provider, and its readiness."""
        return f"{self._status('/v1/chat/completions', CHAT, key)}, {self._status('/readyz')}"

    def warm(self, key: str | None) -> None:
        """What is made once is made: by requests that are served and one that is not."""
        for _ in range(3):
            self._status("/v1/chat/completions", CHAT, key)
            self._status("/v1/chat/completions", {"model": "demo/instant", "x": ["y" * 100_000]}, None)

    def _status(self, path: str, body: object = None, key: str | None = None) -> str:
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()
                return str(answer.status)
        except urllib.error.HTTPError as error:
            error.read()
            return str(error.code)
        except OSError as error:
            return type(error).__name__


@contextlib.contextmanager
def attacked(program: Program, environ: dict[str, str], files: int, *, keyed: bool, redis: bool) -> Iterator[Target]:
    """A process that listens, with so many files at most. In the end it is killed: what it drains is not looked at."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-attacks-"))
        store = {"REDIS_URL": f"redis://127.0.0.1:{stack.enter_context(redis_server())}/0"} if redis else {}
        settings = Path(folder) / "headgate.toml"
        settings.write_text(KEYED if keyed else "")
        serve = [program.python, "-m", "entrypoints", "serve", "--port", str(port)]
        command = [
            "sh",
            "-c",
            'cd "$0" && ulimit -n "$1" && shift && exec "$@"',
            str(program.folder),
            str(files),
            *serve,
        ]
        own = {"PYTHONPATH": str(program.folder), "HEADGATE_CONFIG": str(settings), **ENVIRON, **store, **environ}
        process = stack.enter_context(running(command, port, "0-1", own))
        try:
            yield Target(process.pid, port)
        finally:
            process.kill()
