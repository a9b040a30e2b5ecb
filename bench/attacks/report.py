"""The table of a run, beside that of an earlier one."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]
OTHERS_MS = 50.0


def quantile(delays: list[float], share: float) -> float:
    """Of those that were answered; 0 if none was."""
    served = sorted(delay for delay in delays if delay >= 0)
    return served[min(len(served) - 1, int(share * len(served)))] if served else 0.0


def is_bad(row: Row) -> bool:
    """Whether others waited for more than 50 ms above what they wait anyway, or got no answer; or more was kept than
    may be; or the attack was received, or has left the process, otherwise than is due."""
    felt = row["max_ms"] - row["quiet_ms"] > OTHERS_MS or row["unserved"] > 0
    kept = row["most_mib"] is not None and row["added_mib"] > row["most_mib"]
    return bool(felt or kept or row["afterwards"] != row["expected"] or not row["outcome"].startswith(row["due"]))


def write(folder: Path, run: dict[str, Any], before: dict[str, Any] | None) -> None:
    """results.json and results.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(run, indent=1) + "\n")
    (folder / "results.md").write_text(markdown(run, before))


def markdown(run: dict[str, Any], before: dict[str, Any] | None) -> str:
    """The table, with the columns of an earlier run where one is given."""
    earlier = {row["name"]: row for row in before["rows"]} if before is not None else {}
    was = "" if before is None else f" Before: commit {before['commit']}."
    head = "| row | attack | received with | added MiB | others: p50, p99, max ms | unserved | afterwards |"
    lines = [
        "# Attacks",
        "",
        f"`{run['command']}`, {run['started']}; {run['minutes']} minutes; commit {run['commit']}.{was}",
        "",
        "Each attack on a fresh process, from one address; from another, `GET /livez` each 20 ms on a new connection:",
        "how long after its moment it is answered. Quiet is the longest delay of the second before the attack: what",
        "the machine does anyway. Added is the most that was resident above what was before. Afterwards: the status of",
        "a request, and of readiness. Bold: felt (over 50 ms above quiet, or unserved), or more kept than may be",
        "(4 MiB of input without a key, 64 MiB of one caller), or not received as is due, or not the same service",
        "afterwards.",
        "",
        head.replace("| added", "| before: received with, MiB, max ms | added") if earlier else head,
        "|---" * (8 if earlier else 7) + "|",
    ]
    lines += [_line(row, earlier.get(row["name"]), wide=bool(earlier)) for row in run["rows"]]
    return "\n".join([*lines, ""])


def _line(row: Row, earlier: Row | None, *, wide: bool) -> str:
    mark = "**" if is_bad(row) else ""
    cells = [row["row"], f"{mark}{row['name']}{mark}", row["outcome"]]
    if wide:
        cells.append(_earlier(earlier))
    cells += [
        f"{row['added_mib']:.1f}",
        f"{row['p50_ms']:.1f}, {row['p99_ms']:.1f}, {row['max_ms']:.0f} (quiet {row['quiet_ms']:.0f})",
        str(row["unserved"]),
        row["afterwards"],
    ]
    return f"| {' | '.join(cells)} |"


def _earlier(row: Row | None) -> str:
    if row is None:
        return ""
    unserved = f", {row['unserved']} unserved" if row["unserved"] else ""
    return f"{row['outcome']}; {row['added_mib']:.1f}; {row['max_ms']:.0f}{unserved}"
