"""The benchmark suite's own parts; that it runs needs nginx and a C compiler, and is seen by running it."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench.__main__ import cells, loads
from bench.gateways import headgate
from bench.report import write


def row(load: str, ratio: float | None) -> dict[str, Any]:
    got = {
        "lost": 0,
        "requests_per_second": 10.0,
        "first_event_ms": {"p50": 1.0, "p99": 2.0},
        "gap_us": {"p99": 21_000},
    }
    return {
        "load": load,
        "gateway": "A <gateway>",
        "per_event": load == "paced",
        "cpu": 50.0,
        "floor": 20.0 if ratio else None,
        "ratio": ratio,
        "got": {**got, "resident_mb": 88.0},
    }


def test_a_run_leaves_a_table_a_chart_and_everything(tmp_path: Path) -> None:
    rows = [row("paced", 2.5), row("burst", None)]
    run = {"command": "x", "started": "now", "minutes": 1, "machine": {"machine": "m"}, "rows": rows}
    write(tmp_path / "out", run)
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == run
    table = (tmp_path / "out" / "results.md").read_text()
    assert "| paced | A <gateway> | 50 an event | 20 | 2.5 x | 0 | 10 | 1.0, 2.0 | 21.0 | 88 |" in table
    assert "| burst | A <gateway> | 50 a request |  |  | 0 |" in table
    chart = ElementTree.fromstring((tmp_path / "out" / "chart.svg").read_text())
    assert len(chart.findall("{http://www.w3.org/2000/svg}rect")) == 2  # the ground, and one bar


def test_every_cell_names_a_load_and_peers_come_last() -> None:
    known = loads(short=True, descriptors=4_500)
    assert known["open"].streams == 200
    rows = cells(["mine=run {PORT}"])
    assert {name for name, _, _ in rows} == {*known}
    assert [gateway.command for _, gateway, _ in rows[-2:]] == ["run {PORT}"] * 2


def test_the_service_is_measured_with_everything_on() -> None:
    off = {name: value for name, value in headgate("x").environ.items() if value.lower() in {"false", "0", "off"}}
    assert not off
