"""The own parts of what is in bench/; that it runs needs nginx, a C compiler and minutes, and is seen by running it."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench.__main__ import cells, loads
from bench.attacks import report as attack_report
from bench.attacks.catalogue import attacks
from bench.attacks.shapes import shapes
from bench.gateways import headgate
from bench.report import write
from entrypoints.http.bodies import MAX_BODY_BYTES


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


def attack_row(**changes: Any) -> dict[str, Any]:
    row = {
        "row": "44",
        "name": "a head",
        "due": "431",
        "most_mib": 4.0,
        "outcome": "431",
        "added_mib": 0.1,
        "quiet_ms": 3.0,
    }
    felt = {"p50_ms": 1.0, "p99_ms": 2.0, "max_ms": 5.0, "unserved": 0, "afterwards": "200, 200"}
    return {**row, **felt, "expected": "200, 200", **changes}


def test_an_attack_is_bad_if_it_is_felt_or_kept(tmp_path: Path) -> None:
    bad: list[dict[str, Any]] = [
        {"max_ms": 54.0},
        {"unserved": 1},
        {"added_mib": 4.1},
        {"afterwards": "TimeoutError, 200"},
        {"outcome": "nothing"},
    ]
    assert [attack_report.is_bad(attack_row(**changes)) for changes in bad] == [True] * 5
    good: list[dict[str, Any]] = [{}, {"max_ms": 52.0}, {"added_mib": 60.0, "most_mib": None}]
    assert not any(attack_report.is_bad(attack_row(**changes)) for changes in good)
    run = {
        "command": "x",
        "started": "now",
        "minutes": 1,
        "commit": "b",
        "rows": [attack_row(), attack_row(unserved=1)],
    }
    before = {"commit": "a", "rows": [attack_row(outcome="200", max_ms=99.0)]}
    attack_report.write(tmp_path, run, before)
    table = (tmp_path / "results.md").read_text()
    assert "| 44 | a head | 431 | 200; 0.1; 99 | 0.1 | 1.0, 2.0, 5 (quiet 3) | 0 | 200, 200 |" in table
    assert "| 44 | **a head** | " in table


def test_attacks_have_names_of_their_own_and_bodies_are_of_legal_size() -> None:
    names = [attack.name for attack in attacks()]
    assert len(set(names)) == len(names)
    assert max(map(len, shapes().values())) <= MAX_BODY_BYTES
