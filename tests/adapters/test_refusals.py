"""Refusals are counted by door and code, and logged: ten lines a second a code at most, whatever comes (G9)."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from adapters.memory.manual_clock import ManualClock
from adapters.observability.logging import configure_logging
from adapters.observability.refusals import KNOWN_CODES, LINES_A_SECOND, LoggedRefusals
from domain import stages
from ports.refusals import Door


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    yield stream
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def count(registry: CollectorRegistry, door: str, code: str) -> float | None:
    return registry.get_sample_value("headgate_refusals_total", {"door": door, "code": code})


def test_each_refusal_is_counted_and_a_line_says_who_refused_and_why(stream: io.StringIO) -> None:
    registry = CollectorRegistry()
    refusals = LoggedRefusals(registry, ManualClock())
    token = stages.THREAD_ID.set("t_1")
    refusals.refuse(Door.CHAT, "invalid_json", 400)
    stages.THREAD_ID.reset(token)
    refusals.refuse("server", "head_too_large")
    assert (count(registry, "chat", "invalid_json"), count(registry, "server", "head_too_large")) == (1, 1)
    first, second = lines(stream)
    assert (first["event"], first["door"], first["code"], first["status"]) == ("refused", "chat", "invalid_json", 400)
    assert (first["thread_id"], first["level"], first["suppressed"]) == ("t_1", "info", 0)
    assert (second["door"], second["code"], second["status"]) == ("server", "head_too_large", None)
    assert "thread_id" not in second


async def test_ten_lines_in_any_second_a_code_and_the_next_tells_of_the_rest(stream: io.StringIO) -> None:
    registry, clock = CollectorRegistry(), ManualClock()
    refusals = LoggedRefusals(registry, clock)
    written_at: list[float] = []
    for _ in range(400):  # four seconds, at a hundred a second
        before = len(lines(stream))
        refusals.refuse("native", "invalid_json", 400)
        written_at += [clock.monotonic()] * (len(lines(stream)) - before)
        await clock.advance(0.01)
    assert count(registry, "native", "invalid_json") == 400
    assert len(written_at) == 4 * LINES_A_SECOND
    assert all(sum(start <= at < start + 1 for at in written_at) <= LINES_A_SECOND for start in written_at)
    await clock.advance(1.0)
    refusals.refuse("chat", "missing_api_key", 401)  # a code has its own ten
    refusals.refuse("chat", "invalid_json", 400)
    told = [line for line in lines(stream) if line["code"] == "invalid_json"]
    assert sum(1 + line["suppressed"] for line in told) == 401
    assert lines(stream)[-2]["suppressed"] == 0


def test_what_is_not_in_the_vocabulary_is_other_and_adds_nothing(stream: io.StringIO) -> None:
    registry, refused = CollectorRegistry(), 1000
    refusals = LoggedRefusals(registry, ManualClock())
    for number in range(refused):
        refusals.refuse(f"door {number}", f"sk-planted-{number}", 400)
    assert count(registry, "other", "other") == refused
    samples = [sample for metric in registry.collect() for sample in metric.samples if sample.name.endswith("_total")]
    assert len(samples) == 1
    assert len(refusals._series) == len(refusals._counters) == 1
    assert "sk-planted" not in stream.getvalue()
    assert len(lines(stream)) == LINES_A_SECOND


def test_every_door_and_code_has_a_series_of_its_own(stream: io.StringIO) -> None:
    registry = CollectorRegistry()
    refusals = LoggedRefusals(registry, ManualClock())
    for door in Door:
        for code in KNOWN_CODES:
            refusals.refuse(door, code, 400)
    doors = ("native", "chat", "operator", "server", "other")
    assert {count(registry, door, code) for door in doors for code in KNOWN_CODES} == {1}
