"""What a run leaves: JSON with everything, Markdown for people, and a chart."""

import json
from html import escape
from pathlib import Path
from typing import Any

Row = dict[str, Any]
BAR, LINE, LEFT, WIDTH = 14, 22, 300, 460


def write(folder: Path, run: dict[str, Any]) -> None:
    """results.json, results.md and chart.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(run, indent=1) + "\n")
    (folder / "results.md").write_text(markdown(run))
    (folder / "chart.svg").write_text(chart(run["rows"]))


def markdown(run: dict[str, Any]) -> str:
    """The table, and how it came to be."""
    machine = "\n".join(f"- {name}: {value}" for name, value in run["machine"].items())
    lines = [
        "# Results",
        "",
        f"`{run['command']}`, {run['started']}; {run['minutes']} minutes.",
        "",
        machine,
        "",
        "CPU is user and system time of the gateway and its children, in microseconds; the floor is that of nginx.",
        "",
        "| load | gateway | CPU | floor | ratio | lost | requests/s | first event p50, p99 ms | gap p99, ms | MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *map(_line, run["rows"]),
        "",
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    got, first, gap = row["got"], row["got"]["first_event_ms"], row["got"]["gap_us"]
    ratio = f"{row['ratio']:.1f} x" if row["ratio"] else ""
    floor = f"{row['floor']:g}" if row["floor"] else ""
    cells = [
        row["load"],
        row["gateway"],
        f"{row['cpu']:g} a{'n event' if row['per_event'] else ' request'}",
        floor,
        ratio,
        str(got["lost"]),
        f"{got['requests_per_second']:.0f}",
        f"{first['p50']:.1f}, {first['p99']:.1f}",
        f"{gap['p99'] / 1e3:.1f}" if row["per_event"] else "",
        f"{got['resident_mb']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def chart(rows: list[Row]) -> str:
    """The ratios to the floor as bars; a line is 1."""
    rows = [row for row in rows if row["ratio"]]
    most = max((row["ratio"] for row in rows), default=1.0)
    height = LINE * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 70}" height="{height}"'
        ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="16">CPU, times that of nginx doing the same</text>',
    ]
    for number, row in enumerate(rows):
        top, width = 24 + LINE * number, WIDTH * row["ratio"] / most
        label = escape(f"{row['load']}: {row['gateway']}")
        parts += [
            f'<text x="{LEFT - 8}" y="{top + 11}" text-anchor="end">{label}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR}" fill="#3b6ea5"/>',
            f'<text x="{LEFT + width + 5:.1f}" y="{top + 11}">{row["ratio"]:.1f}</text>',
        ]
    one = LEFT + WIDTH / most
    parts.append(f'<line x1="{one:.1f}" y1="22" x2="{one:.1f}" y2="{height}" stroke="#c33"/></svg>\n')
    return "".join(parts)
