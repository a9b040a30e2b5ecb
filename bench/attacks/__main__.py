"""`python -m bench.attacks`: each attack on a process started for it, and what another client feels meanwhile.

    uv run --group dev python -m bench.attacks                                       # this checkout: four minutes
    uv run --group dev python -m bench.attacks --only head --only silent
    uv run --group dev python -m bench.attacks --cwd ../older --out bench/results/before
    uv run --group dev python -m bench.attacks --before bench/results/before/results.json

Only on loopback, and bounded: at most 300 MB and half a minute an attack. `--cwd` (and `--python`) attack another
checkout.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.attacks.catalogue import Attack, attacks
from bench.attacks.report import is_bad, quantile, write
from bench.attacks.target import KEY, REPOSITORY, Program, attacked

QUIET_SECONDS = 1.0
MIB = 1 << 20


def measured(attack: Attack, program: Program) -> dict[str, Any]:
    """One attack. Its clients are nicer than the process and the probe: they have no core of their own here."""
    key = KEY if attack.keyed else None
    with attacked(program, attack.environ, attack.files, keyed=attack.keyed, redis=attack.redis) as target:
        target.warm(key)
        with target.felt("quiet"):
            time.sleep(QUIET_SECONDS)
        before = target.forget_peak()
        with target.felt("attack"), ThreadPoolExecutor(1, initializer=os.nice, initargs=(10,)) as clients:
            outcome = clients.submit(attack.run, target.port).result()
        added = target.memory("VmHWM") - before
        # The key may ask six times a minute: its own limit is all that is left of it.
        afterwards = target.afterwards(None if attack.keyed else key)
    delays = target.delays["attack"]
    return {
        "row": attack.row,
        "name": attack.name,
        "due": attack.due,
        "most_mib": None if attack.most_mib == math.inf else attack.most_mib,
        "outcome": outcome,
        "added_mib": round(added / MIB, 1),
        "quiet_ms": quantile(target.delays["quiet"], 1.0),
        "p50_ms": quantile(delays, 0.5),
        "p99_ms": quantile(delays, 0.99),
        "max_ms": quantile(delays, 1.0),
        "unserved": sum(delay < 0 for delay in delays),
        "afterwards": afterwards,
        "expected": "401, 200" if attack.keyed else "200, 200",
    }


def main() -> int:
    """Runs them, with a line for each as it comes."""
    parser = argparse.ArgumentParser(
        "bench.attacks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], help="attacks whose name holds this; several times")
    parser.add_argument("--python", default=sys.executable, help="whose packages are used (this one's)")
    parser.add_argument("--cwd", type=Path, default=REPOSITORY, help="the checkout that is attacked (this one)")
    parser.add_argument("--before", type=Path, help="results.json of another run, to stand beside")
    parser.add_argument("--out", type=Path, default=Path("bench/results/attacks"), help="a folder for the results")
    options = parser.parse_args()
    program = Program(options.python, options.cwd.resolve())
    chosen = [one for one in attacks() if not options.only or any(word in one.name for word in options.only)]
    started, rows = time.time(), []
    for number, attack in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {attack.name} ... ", end="", flush=True)
        began = time.monotonic()
        row = measured(attack, program)
        rows.append(row)
        verdict = f"{'BAD' if is_bad(row) else 'ok'} in {time.monotonic() - began:.0f} s"
        others = f"others p99 {row['p99_ms']:.0f} ms, max {row['max_ms']:.0f} ms, {row['unserved']} unserved"
        print(f"{verdict}: {row['outcome']}; + {row['added_mib']} MiB; {others}; {row['afterwards']}", flush=True)
    git = ["git", "-C", str(program.folder), "rev-parse", "--short", "HEAD"]
    run = {
        "command": "python -m bench.attacks " + " ".join(sys.argv[1:]),
        "started": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(started)),
        "minutes": round((time.time() - started) / 60, 1),
        "commit": subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip(),
        "rows": rows,
    }
    write(options.out, run, json.loads(options.before.read_text()) if options.before else None)
    print(f"wrote {options.out}/results.md and results.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
