"""`python -m bench.flood`: what a caller who does not stop does to the streams of others.

    uv run --group dev python -m bench.flood --rate 5000

20 streams at 50 tokens/s, first alone, then beside so many requests a second of one caller over its limit. The gateway
has the first core, all else the second.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.gateways import headgate
from bench.processes import build, free_port, missing, running

STREAMS, TOKENS, INTERVAL_US = 20, 250, 20_000
SECONDS = TOKENS * INTERVAL_US / 1e6
FLOODER = "x-forwarded-for: 10.0.3.1"
GATEWAY = headgate(
    "Headgate, memory",
    RATE_LIMIT_REQUESTS_PER_MINUTE="60",
    HEADGATE_TRUSTED_PROXIES="127.0.0.1",
    CACHE_ENABLED="false",
)


def _started(*command: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["taskset", "-c", "1", *command], stdout=subprocess.PIPE)


def _answer(process: "subprocess.Popen[bytes]") -> Mapping[str, Any]:
    output, _ = process.communicate(timeout=SECONDS + 30)
    return dict(json.loads(output))


def main() -> int:
    """Prints both, and how many were refused."""
    parser = argparse.ArgumentParser("bench.flood", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000, help="requests a second (5,000)")
    rate = parser.parse_args().rate
    if lacks := missing():
        print(f"This machine lacks {', '.join(lacks)}.", file=sys.stderr)
        return 2
    up = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        programs = Path(folder)
        build(programs)
        upstream = [str(programs / "mock_upstream"), str(up), str(TOKENS), str(INTERVAL_US)]
        with running(upstream, up, "1"), GATEWAY.running(programs, up, None) as (_, port):
            load = (str(programs / "loadgen"), str(port), "/v1/chat/completions", GATEWAY.model)
            streams = (*load, str(STREAMS), str(STREAMS), "0", "unique")
            flood = (str(programs / "flood"), str(port))
            _answer(_started(*flood, "200", "1", FLOODER))  # what is admitted of it is over
            alone = _answer(_started(*streams))["gap_us"]["p99"]
            readers = _started(*streams)
            refused = _answer(_started(*flood, str(rate), str(SECONDS), FLOODER))
            beside = _answer(readers)["gap_us"]["p99"]
    print(f"p99 gap alone {alone / 1000:.1f} ms, beside the flood {beside / 1000:.1f} ms: {beside / alone:.2f} x")
    print(f"{refused['4xx'] / SECONDS:,.0f} of {rate:,} refused a second; p99 {refused['p99_us'] / 1000:.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
