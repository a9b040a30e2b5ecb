"""`headgate serve --workers N`: so many processes behind one port. One that dies is started again."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Iterator, Sequence

from adapters.observability.exposition import DIRECTORY
from adapters.observability.logging import get_logger
from entrypoints.last_resort import GRACE_SECONDS, KERNEL_SECONDS
from entrypoints.signals import STOPPING, Hangup

RESTART_SECONDS = 1.0
MISCONFIGURED = 2
"""The exit status of a process that would only end in the same way again."""


def listener(host: str, port: int) -> socket.socket:
    """A socket on an address that our processes share: the kernel deals connections out to those that listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


async def serve_workers(
    count: int, host: str, port: int, arguments: Sequence[str], drain_timeout: float, hangup: Hangup
) -> int:
    """Runs `headgate serve` with these `arguments` in `count` processes until a signal, which each of them is sent. One
    that is still there when its own last resort should have ended it is killed.

    Returns the greatest exit status. Raises `OSError` if the address cannot be had.
    """
    with contextlib.closing(listener(host, port)) as reserved, _shared_metrics() as environ:
        own = ("--host", host, "--port", str(reserved.getsockname()[1]), "--worker-of", str(os.getpid()))
        workers = _Workers((sys.executable, "-m", "entrypoints", "serve", *arguments, *own), environ, drain_timeout)
        loop = asyncio.get_running_loop()
        for number in STOPPING:
            loop.add_signal_handler(number, workers.signal, number)

        def hung_up() -> None:
            hangup.handle()
            hangup.look()

        loop.add_signal_handler(signal.SIGHUP, hung_up)
        return max(await asyncio.gather(*(workers.keep_one() for _ in range(count))))


class _Workers:
    """The processes. In sessions of their own: what a terminal sends to all, each would get twice."""

    def __init__(self, command: Sequence[str], environ: dict[str, str], drain_timeout: float) -> None:
        self._drain_timeout = drain_timeout
        self._command = command
        self._environ = environ
        self._running: set[Process] = set()
        self._stopping = asyncio.Event()

    def signal(self, number: int) -> None:
        """Sends it to all; none is started again after this, and none is there when its time is over."""
        left = 0.0 if self._stopping.is_set() else self._drain_timeout
        self._stopping.set()
        self._send(number)
        asyncio.get_running_loop().call_later(left + GRACE_SECONDS + KERNEL_SECONDS, self._send, signal.SIGKILL)

    def _send(self, number: int) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and keep_one is about to hear of it
                process.send_signal(number)

    async def keep_one(self) -> int:
        """Has one running until all are to stop; its exit status."""
        while True:
            process = await asyncio.create_subprocess_exec(*self._command, env=self._environ, start_new_session=True)
            self._running.add(process)
            status = await process.wait()
            self._running.discard(process)
            if self._stopping.is_set():
                return max(0, status)
            if status == MISCONFIGURED:
                self.signal(signal.SIGTERM)
                return status
            get_logger("headgate").error("a worker died, another starts", status=status)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RESTART_SECONDS)
                return 0


@contextlib.contextmanager
def _shared_metrics() -> Iterator[dict[str, str]]:
    """The environment, with a place where the workers add their counters up."""
    if os.environ.get(DIRECTORY):
        yield dict(os.environ)
        return
    with tempfile.TemporaryDirectory(prefix="headgate-metrics-") as folder:
        yield {**os.environ, DIRECTORY: folder}
