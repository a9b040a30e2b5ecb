"""The loads, and what one of them gives on one gateway."""

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gateways import Gateway
from bench.processes import free_port, running, usage
from bench.throttle import throttled, workers

SETTLE_SECONDS = 1.5
TOKENS = 100


@dataclass(frozen=True)
class Load:
    """`streams` connections send `requests` in all; the upstream sends a token each `interval` us, or all at once."""

    name: str
    what: str
    streams: int
    requests: int
    interval: int = 0
    ramp: int = 0
    """Microseconds until all connections are at work."""
    same: bool = False
    """Whether all ask the same."""
    tokens: int = TOKENS
    warm: int = 200
    """Requests before it counts; none of them the same as those that count, unless these are to be hits."""
    served: str = "miss"
    """What is to serve them in Headgate, as `X-Cache` says it."""

    @property
    def per_event(self) -> bool:
        """Whether its figure is CPU for an event, else for a request."""
        return self.interval > 0


def measured(load: Load, gateway: Gateway, programs: Path, folder: Path, redis: int | None) -> dict[str, Any]:
    """One load on one gateway that has just been started, with an upstream that has too. The load and the upstream
    share the second core."""
    up = free_port()
    upstream = [str(programs / "mock_upstream"), str(up), str(load.tokens), str(load.interval)]
    with running(upstream, up, "1"), gateway.running(folder, up, redis) as (pid, port):
        time.sleep(SETTLE_SECONDS)
        idle = usage(pid)
        _send(programs, port, gateway.model, 8, load.warm, 0, same=load.served.startswith("hit"))
        served, before = _served(port), usage(pid)
        with throttled(workers(pid), gateway.share):
            seen = _send(programs, port, gateway.model, load.streams, load.requests, load.ramp, same=load.same)
        after = usage(pid)
        _check(load, served, _served(port))
    cpu = after.cpu - before.cpu
    return {
        "cpu_us_per_request": round(cpu / max(1, seen["ok"]) * 1e6, 1),
        "cpu_us_per_event": round(cpu / max(1, seen["events"]) * 1e6, 2),
        "lost": load.requests - seen["ok"],
        "requests_per_second": seen["rps"],
        "first_event_ms": seen["ttft_ms"],
        "gap_us": seen["gap_us"],
        "resident_mb": round(after.resident / 1e6, 1),
        "kb_per_stream": round((after.resident - idle.resident) / load.streams / 1e3, 1),
    }


def _send(
    programs: Path, port: int, model: str, streams: int, requests: int, ramp: int, *, same: bool
) -> Mapping[str, Any]:
    path, kind = "/v1/chat/completions", "same" if same else "unique"
    numbers = [str(number) for number in (streams, requests, ramp)]
    command = ["taskset", "-c", "1", str(programs / "loadgen"), str(port), path, model, *numbers, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"the load failed: {done.stderr[:500]}")
    return dict(json.loads(done.stdout))


def _served(port: int) -> dict[str, float]:
    """How many requests were served by what, so far; nothing if it is not Headgate."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            rows = re.findall(
                r'^headgate_cache_requests_total\{status="([\w-]+)"\} (\S+)$', answer.read().decode(), re.MULTILINE
            )
    except OSError:
        return {}
    return {status: float(count) for status, count in rows}


def _check(load: Load, before: dict[str, float], after: dict[str, float]) -> None:
    """That it was what the row says: a hundredth may differ, which begins before there is anything to share."""
    found = {status: count - before[status] for status, count in after.items() if count > before[status]}
    if found and found.get(load.served, 0) < 0.99 * load.requests:
        raise RuntimeError(f"{load.name}: {load.requests} x {load.served} was due, not {found}")
