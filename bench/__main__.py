"""`python -m bench`: runs the suite on this machine and writes what it found.

    uv run --group dev python -m bench                      # everything: thirteen minutes
    uv run --group dev python -m bench --only burst --only paced --short
    uv run --group dev python -m bench --peer "mine=./my-gateway --port {PORT} --upstream http://127.0.0.1:{UP}/v1"

Each load runs on a fresh gateway on one core, with a fresh upstream and the load on the other, and on nginx just
before: what counts is the ratio, as the machine drifts. Twice, in turns (`--rounds`), and the lesser counts for both:
what else the machine does only adds. `--peer NAME=COMMAND` measures another gateway that speaks OpenAI's dialect.
"""

import argparse
import contextlib
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.gateways import NGINX, NGINX_STATIC, Gateway, headgate, peers
from bench.loads import Load, measured
from bench.processes import build, missing, raise_limits, redis_server
from bench.report import write

SECOND = 1_000_000


def loads(*, short: bool, descriptors: int) -> dict[str, Load]:
    """By name. `descriptors` bounds how many streams can be open: each takes two at the gateway."""
    part = 4 if short else 1
    opened = min(10_000, (descriptors - 500) // 2) // (10 if short else 1)
    found = [
        Load("burst", "100-token answers in one piece, 32 connections", 32, 4_000 // part),
        Load("paced", "100 streams, 50 tokens/s", 100, 200, 20_000, 2 * SECOND, warm=8),
        Load(
            "hits", "one answer cached in the process, 32 connections", 32, 12_000 // part, same=True, served="hit-l1"
        ),
        Load("hits-l2", "one answer cached in Redis, 32 connections", 32, 12_000 // part, same=True, served="hit-l2"),
        Load(
            "coalesced", "100 streams of one call, 50 tokens/s", 100, 100, 20_000, same=True, warm=8, served="coalesced"
        ),
        Load("paced-1", "1 stream, 50 tokens/s", 1, 12, 20_000, warm=1),
        Load("paced-64", "64 streams, 50 tokens/s", 64, 128, 20_000, SECOND, warm=8),
        Load("paced-512", "512 streams, 50 tokens/s", 512, 1_024, 20_000, 4 * SECOND, warm=8),
        Load("workers", "100-token answers in one piece, 64 connections", 64, 4_000 // part),
        Load("open", f"{opened} streams at 1 token/s", opened, opened, SECOND, 20 * SECOND, tokens=30, warm=1),
    ]
    return {load.name: load for load in found}


def cells(given: list[str]) -> list[tuple[str, Gateway, Gateway | None]]:
    """Load, gateway, and its floor."""
    memory, redis = headgate("Headgate, memory"), headgate("Headgate, Redis", redis=True)
    rows: list[tuple[str, Gateway, Gateway | None]] = [("burst", memory, NGINX), ("burst", redis, NGINX)]
    rows += [("paced", memory, NGINX), ("paced", redis, NGINX)]
    rows += [("hits", memory, NGINX_STATIC)]
    rows += [("hits-l2", headgate("Headgate, Redis", redis=True, CACHE_L1_MAX_BYTES="1024"), NGINX_STATIC)]
    rows += [("coalesced", memory, NGINX), ("coalesced", redis, NGINX)]
    rows += [(name, memory, NGINX) for name in ("paced-1", "paced-64", "paced-512", "open")]
    for count in (1, 2):
        # With a core each they would take it from the load, the upstream and Redis.
        name = f"Headgate, Redis, {count} worker(s), each a quarter of a core"
        rows.append(("workers", headgate(name, redis=True, workers=count, share=0.25), None))
    for peer in peers(given):
        rows += [("burst", peer, NGINX), ("paced", peer, NGINX)]
    return rows


def one(load: Load, gateway: Gateway, floor: Gateway | None, programs: Path, rounds: int) -> dict[str, Any]:
    """A row: the floor and the gateway in turns, the round with the least CPU of each."""
    key = "cpu_us_per_event" if load.per_event else "cpu_us_per_request"
    least: dict[str, dict[str, Any]] = {}
    for each in [each for each in (floor, gateway) if each is not None] * rounds:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
            redis = stack.enter_context(redis_server()) if each.redis else None
            result = measured(load, each, programs, Path(folder), redis)
        if each.name not in least or result[key] < least[each.name][key]:
            least[each.name] = result
    got, base = least[gateway.name], least[floor.name] if floor is not None else None
    return {
        "load": load.name,
        "what": load.what,
        "gateway": gateway.name,
        "command": gateway.command,
        "environ": dict(gateway.environ),
        "per_event": load.per_event,
        "cpu": got[key],
        "floor": base[key] if base else None,
        "ratio": round(got[key] / base[key], 2) if base and base[key] else None,
        "got": got,
        "floor_got": base,
    }


def machine() -> dict[str, str]:
    """Where it ran, and with what."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(": ")[2] for line in lines if "model name" in line), platform.machine())
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr.strip()
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    packages = ("fastapi", "uvicorn", "uvloop", "msgspec", "redis")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return {
        "machine": f"{cpu}, {platform.system()} {platform.release()}",
        "Headgate": f"commit {commit}, {versions}",
        "Python": f"{platform.python_version()}, {Path(sys.executable).resolve()}, {platform.python_compiler()}",
        "floor": nginx.removeprefix("nginx version: "),
    }


def main() -> int:
    """Runs it, with a line for each figure as it comes."""
    parser = argparse.ArgumentParser("bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="a load; may be given several times")
    parser.add_argument("--gateway", default="", help="only gateways whose name holds this")
    parser.add_argument("--short", action="store_true", help="a quarter of the requests, a tenth of the open streams")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured (2)")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND", help="another gateway")
    parser.add_argument("--out", type=Path, default=Path("bench/results/latest"), help="a folder for the results")
    options = parser.parse_args()
    if lacks := missing():
        print(f"This machine lacks {', '.join(lacks)}.", file=sys.stderr)
        return 2
    known = loads(short=options.short, descriptors=raise_limits())
    wanted = options.only or list(known)
    chosen = [cell for cell in cells(options.peer) if cell[0] in wanted and options.gateway in cell[1].name]
    started, rows = time.time(), []
    with tempfile.TemporaryDirectory(prefix="bench-programs-") as folder:
        build(Path(folder))
        for number, (name, gateway, floor) in enumerate(chosen, 1):
            print(f"[{number}/{len(chosen)}] {name}: {gateway.name} ... ", end="", flush=True)
            row = one(known[name], gateway, floor, Path(folder), options.rounds)
            rows.append(row)
            ratio = f", {row['ratio']:.1f} x the floor's {row['floor']:g}" if row["ratio"] else ""
            print(f"{row['cpu']:g} us{ratio}; {row['got']['lost']} lost", flush=True)
    run = {
        "command": "python -m bench " + " ".join(sys.argv[1:]),
        "started": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(started)),
        "minutes": round((time.time() - started) / 60, 1),
        "machine": machine(),
        "rows": rows,
    }
    write(options.out, run)
    print(f"wrote {options.out}/results.md, results.json and chart.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
