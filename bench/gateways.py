"""What can stand between the load and the upstream: nginx as the floor, Headgate in its forms, and peers."""

import contextlib
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import free_port, running

_HEAD = "worker_processes 1; daemon off; pid {d}/pid; error_log {d}/err; events {{ worker_connections 30000; }}\n"
_PROXY = (
    _HEAD + "http {{ access_log off; keepalive_requests 1000000; upstream u {{ server 127.0.0.1:{up}; keepalive 512;"
    " keepalive_requests 1000000; }} server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://u;"
    ' proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 300s; }} }} }}'
)
_STATIC = (
    _HEAD + "http {{ access_log off; keepalive_requests 1000000; server {{ listen 127.0.0.1:{port}; root {d};"
    " error_page 405 =200 $uri; location / {{ default_type text/event-stream; }} }} }}"
)
_EVENT = (
    'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,"model":"mock",'
    '"system_fingerprint":"fp_mock","choices":[{"index":0,"delta":{"content":" tok%d"},"logprobs":null,'
    '"finish_reason":null}]}\n\n'
)
_HEADGATE = {
    "OPENAI_API_KEY": "sk-bench",
    "RATE_LIMIT_REQUESTS_PER_MINUTE": "1000000000",
    "RATE_LIMIT_TOKENS_PER_MINUTE": "1000000000000",
    "STREAM_MAX_CONCURRENT": "100000",
    "STREAM_MAX_CONCURRENT_PER_CALLER": "100000",
    "LOG_FORMAT": "json",
}
"""Limits that are checked and never reached; all else is the default, so everything is on."""


@dataclass(frozen=True)
class Gateway:
    """One of them. In `command` and `environ`, {UP} is the upstream's port, {PORT} its own, {DIR} a folder for it."""

    name: str
    command: str
    environ: Mapping[str, str] = field(default_factory=dict)
    model: str = "mock"
    redis: bool = False
    cores: str = "0"
    share: float = 1.0
    """Of a core, that each of its processes gets."""
    prepare: Callable[[Path, int, int], None] = lambda _folder, _up, _port: None

    @contextlib.contextmanager
    def running(self, folder: Path, up: int, redis: int | None) -> Iterator[tuple[int, int]]:
        """Its pid and its port, while it listens."""
        port = free_port()
        self.prepare(folder, up, port)
        fields = {"{UP}": str(up), "{PORT}": str(port), "{DIR}": str(folder), "{REDIS}": str(redis)}

        def filled(text: str) -> str:
            for name, value in fields.items():
                text = text.replace(name, value)
            return text

        environ = {name: filled(value) for name, value in self.environ.items()}
        with running(shlex.split(filled(self.command)), port, self.cores, environ) as process:
            yield process.pid, port


def _write_proxy(folder: Path, up: int, port: int) -> None:
    (folder / "nginx.conf").write_text(_PROXY.format(d=folder, up=up, port=port))


def _write_static(folder: Path, _up: int, port: int) -> None:
    folder.chmod(0o755)
    target = folder / "v1" / "chat" / "completions"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(_EVENT % number for number in range(103)) + "data: [DONE]\n\n")
    (folder / "nginx.conf").write_text(_STATIC.format(d=folder, port=port))


NGINX = Gateway("nginx, relaying", "nginx -c {DIR}/nginx.conf", prepare=_write_proxy)
NGINX_STATIC = Gateway("nginx, a static file", "nginx -c {DIR}/nginx.conf", prepare=_write_static)


def headgate(name: str, *, redis: bool = False, workers: int = 1, share: float = 1.0, **environ: str) -> Gateway:
    """Headgate from this checkout."""
    more = f" --workers {workers}" if workers > 1 else ""
    command = f"{shlex.quote(sys.executable)} -m entrypoints serve --port {{PORT}}{more}"
    base = {**_HEADGATE, "OPENAI_BASE_URL": "http://127.0.0.1:{UP}/v1", **environ}
    if redis:
        base["REDIS_URL"] = "redis://127.0.0.1:{REDIS}/0"
    return Gateway(name, command, base, "openai/mock", redis, share=share)


def _write_litellm(folder: Path, up: int, _port: int) -> None:
    model = {"model": "openai/mock", "api_base": f"http://127.0.0.1:{up}/v1", "api_key": "sk-bench"}
    config = {"model_list": [{"model_name": "mock", "litellm_params": model}]}
    (folder / "litellm.yaml").write_text(json.dumps(config))  # JSON is YAML


def peers(given: list[str]) -> list[Gateway]:
    """LiteLLM's proxy if it is installed, and what `--peer NAME=COMMAND` names."""
    found = []
    if shutil.which("litellm") is not None:
        command = "litellm --config {DIR}/litellm.yaml --port {PORT} --num_workers 1"
        found.append(Gateway("LiteLLM proxy", command, prepare=_write_litellm))
    for peer in given:
        name, _, command = peer.partition("=")
        found.append(Gateway(name, command))
    return found
