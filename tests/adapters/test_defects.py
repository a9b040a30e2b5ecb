"""Defects as lines and as a counter: once each, with the stack and without what was worked on (G1, P1)."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from adapters.memory.defects import MemoryDefects
from adapters.memory.recorder import MemoryRecorder
from adapters.observability import watchdog
from adapters.observability.defects import LINES_A_SECOND, PrometheusDefects
from adapters.observability.exposition import ProcessExposition, WorkersExposition
from adapters.observability.gauges import GaugeCollector
from adapters.observability.recorders import FanOutRecorder
from domain.errors import CacheError
from domain.model import RequestRecord
from ports.defects import Where
from tests.adapters.records import SERVED
from tests.adapters.test_logging import as_it_was, configured, lines

pytestmark = pytest.mark.usefixtures(as_it_was.__name__)
SECRETS = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789 jane.doe@example.com planted-answer"


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """With a stack."""
    try:
        try:
            if cause is not None:
                raise cause
        finally:
            raise error
    except (RuntimeError, CacheError) as caught:
        return caught


def counted(registry: CollectorRegistry, where: str) -> float:
    value = registry.get_sample_value("headgate_defects_total", {"where": where})
    assert value is not None
    return value


def test_a_defect_is_counted_and_logged_once_with_its_stack_g1_p1() -> None:
    log, registry = configured(), CollectorRegistry()
    defects = PrometheusDefects(registry)
    assert counted(registry, "reader") == 0
    defects.report(Where.READER, raised(RuntimeError(SECRETS), KeyError(SECRETS)))
    assert counted(registry, "reader") == 1
    assert defects.broken is None
    (line,) = lines(log)
    assert (line["event"], line["level"], line["where"]) == ("a defect", "error", "reader")
    assert "Traceback" in line["exception"]
    assert "test_defects.py" in line["exception"]
    assert line["exception"].count("RuntimeError") == line["exception"].count("KeyError") == 1
    for word in SECRETS.split():
        assert word not in log.getvalue()


def test_the_text_of_an_error_of_ours_is_there() -> None:
    log = configured()
    PrometheusDefects(CollectorRegistry()).report(Where.CACHE, raised(CacheError("The cache is away.")))
    assert "CacheError: The cache is away." in lines(log)[0]["exception"]


def test_a_part_that_has_ended_is_remembered_and_the_first_counts_g8() -> None:
    log, registry = configured(), CollectorRegistry()
    defects = PrometheusDefects(registry)
    defects.fail(Where.SWEEPER, raised(RuntimeError()))
    defects.fail(Where.ADMISSION, raised(RuntimeError()))
    assert defects.broken == "sweeper"
    assert [line["level"] for line in lines(log)] == ["critical"] * 2
    assert counted(registry, "sweeper") == counted(registry, "admission") == 1


def test_a_storm_is_counted_and_a_few_lines_of_it_are_written() -> None:
    log, registry, now = configured(), CollectorRegistry(), [5.5]
    defects = PrometheusDefects(registry, lambda: now[0])
    for _ in range(100):
        defects.report(Where.READER, RuntimeError())
    defects.report(Where.CACHE, RuntimeError())
    assert counted(registry, "reader") == 100
    now[0] = 6.5
    defects.report(Where.READER, RuntimeError())
    said = [line for line in lines(log) if line["where"] == "reader"]
    assert len(said) == LINES_A_SECOND + 1
    assert [line.get("left_out") for line in said] == [None] * LINES_A_SECOND + [100 - LINES_A_SECOND]


def test_what_cannot_be_told_is_held_back_all_the_same() -> None:
    """A wall whose report raises would be none: the disk of the log may be full."""
    log = configured()
    log.close()
    defects = PrometheusDefects(CollectorRegistry())
    defects.report(Where.READER, RuntimeError())
    defects.fail(Where.SWEEPER, RuntimeError())
    assert defects.broken == "sweeper"


class Full(MemoryRecorder):
    """Cannot write."""

    def record(self, record: RequestRecord) -> None:
        raise OSError


def test_a_recorder_that_fails_keeps_the_record_from_no_other_g1() -> None:
    defects, kept = MemoryDefects(), MemoryRecorder(1)
    FanOutRecorder([Full(1), kept], defects).record(SERVED)
    assert len(kept.records) == 1
    assert defects.places == [Where.RECORDER]


def broken() -> float:
    raise ZeroDivisionError


def test_a_gauge_that_cannot_be_read_keeps_no_other_from_the_scrape_g1() -> None:
    defects, registry = MemoryDefects(), CollectorRegistry()
    readings = {"headgate_slots_in_use": broken, "headgate_queue_depth": lambda: 3.0}
    body = ProcessExposition(registry, GaugeCollector(readings, defects=defects))()[0]
    assert b"headgate_queue_depth 3.0" in body
    assert b"headgate_slots_in_use" not in body
    assert set(defects.places) == {Where.GAUGE}


class Unpublished(GaugeCollector):
    """Its files cannot be written."""

    def collect(self) -> object:  # type: ignore[override]
        raise OSError


def test_gauges_that_could_not_be_published_are_tried_again_g1(tmp_path: object) -> None:
    alarms: list[Callable[[], None]] = []
    WorkersExposition(tmp_path, Unpublished({}), lambda _, ring: alarms.append(ring))  # type: ignore[arg-type]
    with pytest.raises(OSError):
        alarms.pop()()
    assert len(alarms) == 1


async def test_a_watchdog_whose_thread_ends_breaks_the_process_g8(monkeypatch: pytest.MonkeyPatch) -> None:
    configured()
    defects = MemoryDefects()
    with watchdog.LoopWatchdog(0.001, defects) as one:
        monkeypatch.setattr(one, "look", broken)
        one._thread.join(5)
    assert defects.broken == "watchdog"
