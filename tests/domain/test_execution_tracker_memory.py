"""The tracker: what it keeps is bounded, and what it drops or forgets stays so."""

from contextlib import ExitStack

import pytest

from adapters.memory.clock import SystemClock
from domain.errors import ExecutionNotFoundError
from domain.services.execution_tracker import MAX_STAGE_NAMES, ExecutionTracker


def tracker(**options: int) -> ExecutionTracker:
    return ExecutionTracker(SystemClock(), sample_rate=1.0, **options)  # type: ignore[arg-type] # all are int


def run(one: ExecutionTracker, *thread_ids: str) -> None:
    for thread_id in thread_ids:
        with one.track_stage("a", "a", thread_id):
            pass


def test_memory_is_bounded_whatever_comes() -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=1.0, max_threads=10, max_stages_per_thread=5)
    for number in range(20_000):
        with one.track_stage(f"name-{number % 1000}", "x", f"t{number}"):
            pass
    assert len(one) == 10
    assert len(one.get_stage_statistics()) == MAX_STAGE_NAMES
    for _ in range(100):
        with one.track_stage("a", "a", "busy"), one.track_substage("b", "b"):
            pass
    busy = one.get_execution_summary("busy")
    assert sum(1 + len(stage.substages) for stage in busy.stages) == 5
    assert busy.dropped == 195
    one.clear_thread_data("busy")
    one.clear_thread_data("never")
    with pytest.raises(ExecutionNotFoundError):
        one.get_execution_summary("busy")


def test_what_is_too_much_to_keep_still_counts() -> None:
    one = tracker(max_stages_per_thread=1)
    run(one, "t", "t", "t")
    (row,) = one.get_stage_statistics()
    assert row.count == 3


def test_the_thread_that_was_busy_last_is_kept_longest() -> None:
    one = tracker(max_threads=2)
    run(one, "t1", "t2", "t1", "t3")
    assert one.stage_seconds("t1")
    assert one.stage_seconds("t3")
    with pytest.raises(ExecutionNotFoundError):
        one.get_execution_summary("t2")


def test_a_long_stage_is_not_lost_to_the_many_that_come_and_go_meanwhile() -> None:
    one = tracker(max_threads=2)
    with one.track_stage("long", "a", "t"):
        run(one, "t1", "t2", "t3")
    with one.track_stage("last", "a", "t"):
        pass
    assert [stage.stage for stage in one.get_execution_summary("t").stages] == ["long", "last"]


def test_a_thread_that_came_anew_is_not_replaced_by_the_one_of_its_name_that_was_dropped() -> None:
    one = tracker(max_threads=2)
    with one.track_stage("old", "a", "t"):
        run(one, "t1", "t2")
        assert one.claim("t", "acme")
    assert one.get_execution_summary("t", "acme").stages == ()


def test_what_was_cleared_stays_cleared_while_its_stages_end() -> None:
    one = tracker()
    with one.track_stage("a", "a", "t"):
        one.clear_thread_data("t")
        with one.track_substage("b", "b"):
            pass
    with pytest.raises(ExecutionNotFoundError):
        one.get_execution_summary("t")
    assert [row.stage for row in one.get_stage_statistics()] == ["a", "b"]


def test_clearing_forgets_that_a_thread_was_forced() -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=0.0)
    one.force("t")
    run(one, "t")
    assert len(one) == 1
    one.clear_thread_data("t")
    run(one, "t")
    assert len(one) == 0


def test_any_depth_can_be_shown() -> None:
    one = tracker(max_stages_per_thread=5000)
    with ExitStack() as open_stages:
        open_stages.enter_context(one.track_stage("0", "x", "t"))
        for depth in range(1, 5000):
            open_stages.enter_context(one.track_substage(str(depth), "x"))
    (stage,) = one.get_execution_summary("t").stages
    for depth in range(1, 5000):
        (stage,) = stage.substages
        assert stage.stage == str(depth)
