"""The tracker: what was timed, for whom, and that nothing mixes, leaks or is covered up."""

import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.manual_clock import ManualClock
from domain import stages
from domain.errors import ExecutionNotFoundError, ProviderTimeoutError
from domain.services.execution_tracker import MAX_STAGE_NAMES, ExecutionTracker, StageSummary


def tracker(clock: ManualClock) -> ExecutionTracker:
    return ExecutionTracker(clock, sample_rate=1.0)


async def test_stages_nest_to_any_depth_and_add_up() -> None:
    clock = ManualClock()
    one = tracker(clock)
    with one.track_stage("2.0_CACHE_LOOKUP", "Cache lookup", "t"):
        await clock.advance(1)
        with one.track_substage("2.1_L1_CACHE_LOOKUP", "L1 lookup"):
            await clock.advance(2)
            with one.track_substage("REDIS.GET_OPERATION", "GET", "t"):
                await clock.advance(3)
        with one.track_substage("2.2_L2_CACHE_LOOKUP", "L2 lookup"):
            await clock.advance(4)
    await clock.advance(0.5)
    with one.track_stage("5.0_LLM_STREAMING", "Stream", "t"):
        await clock.advance(10)
    summary = one.get_execution_summary("t")
    deepest = StageSummary("REDIS.GET_OPERATION", "GET", 3.0, 3.0, None, ())
    assert summary.stages[0].substages == (
        StageSummary("2.1_L1_CACHE_LOOKUP", "L1 lookup", 1.0, 5.0, None, (deepest,)),
        StageSummary("2.2_L2_CACHE_LOOKUP", "L2 lookup", 6.0, 4.0, None, ()),
    )
    assert [(stage.stage, stage.started, stage.seconds) for stage in summary.stages] == [
        ("2.0_CACHE_LOOKUP", 0.0, 10.0),
        ("5.0_LLM_STREAMING", 10.5, 10.0),
    ]
    # What the stages do not cover is named: together they are the whole.
    assert (summary.seconds, summary.untracked) == (20.5, 0.5)
    assert one.stage_seconds("t") == (("2.0_CACHE_LOOKUP", 10.0), ("5.0_LLM_STREAMING", 10.0))
    assert one.server_timing("t") == "2.0_CACHE_LOOKUP;dur=10000.000, 5.0_LLM_STREAMING;dur=10000.000"
    token = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
    assert re.fullmatch(rf"{token};dur=[0-9.]+(, {token};dur=[0-9.]+)*", one.server_timing("t"))


async def test_overlapping_stages_are_not_counted_twice() -> None:
    clock = ManualClock()
    one = tracker(clock)

    async def stage(name: str, begin: float, seconds: float) -> None:
        await clock.sleep(begin)
        with one.track_stage(name, name, "t"):
            await clock.sleep(seconds)

    tasks = [asyncio.create_task(stage(*row)) for row in (("a", 0.1, 4), ("b", 1.1, 1), ("c", 3.1, 3), ("d", 8.1, 1))]
    await clock.advance(10)
    await asyncio.gather(*tasks)
    summary = one.get_execution_summary("t")
    assert summary.seconds == pytest.approx(9.0)
    assert summary.untracked == pytest.approx(2.0)


def test_exceptions_are_noted_by_code_and_pass() -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=1.0)
    with pytest.raises(ProviderTimeoutError), one.track_stage("a", "a", "t"), one.track_substage("b", "b"):
        raise ProviderTimeoutError("planted text", details={"seconds": 3})
    with pytest.raises(ValueError, match="planted"), one.track_stage("c", "c", "t"):
        raise ValueError("planted text")
    summary = one.get_execution_summary("t")
    assert [stage.error for stage in summary.stages] == ["provider_timeout", "ValueError"]
    assert summary.stages[0].substages[0].error == "provider_timeout"
    assert "planted" not in repr(summary)
    assert [(row.stage, row.count, row.errors) for row in one.get_stage_statistics()] == [
        ("a", 1, 1),
        ("b", 1, 1),
        ("c", 1, 1),
    ]


def test_what_is_not_sampled_costs_and_keeps_nothing() -> None:
    for one in (
        ExecutionTracker(SystemClock(), sample_rate=0.0),
        ExecutionTracker(SystemClock(), sample_rate=1.0, enabled=False),
    ):
        first = one.track_stage("a", "a", "t")
        assert first is one.track_stage("b", "b", "other")  # one shared object
        with first, one.track_substage("b", "b"), one.track_substage("c", "c", "t"):
            pass
        assert one.claim("t", "anybody")
        assert len(one) == 0
        assert one.get_stage_statistics() == ()
        assert one.stage_seconds("t") == ()
        assert one.server_timing("t") == ""
        with pytest.raises(ExecutionNotFoundError):
            one.get_execution_summary("t")


def test_a_thread_can_be_forced() -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=0.0)
    one.force("t")
    with one.track_stage("a", "a", "t"):
        pass
    assert one.get_execution_summary("t").stages[0].stage == "a"


async def test_what_runs_is_shown_as_running() -> None:
    clock = ManualClock()
    one = tracker(clock)
    waiting = one.track_stage("later", "later", "t")
    with one.track_stage("a", "a", "t"):
        await clock.advance(2)
        summary = one.get_execution_summary("t")
        assert [(stage.stage, stage.seconds) for stage in summary.stages] == [("a", None)]
        assert summary.seconds == 2.0
        assert one.server_timing("t") == ""
    with waiting:
        pass


def test_a_thread_that_was_claimed_and_did_nothing_is_empty() -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=1.0)
    assert one.claim("t", "acme")
    summary = one.get_execution_summary("t")
    assert (summary.seconds, summary.stages) == (0.0, ())


def test_a_thread_belongs_to_who_claimed_it_first() -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=1.0)
    assert one.claim("t", "acme")
    assert one.claim("t", "acme")
    assert not one.claim("t", "other")
    assert one.get_execution_summary("t", "acme").thread_id == "t"
    with pytest.raises(ExecutionNotFoundError) as stranger:
        one.get_execution_summary("t", "other")
    with pytest.raises(ExecutionNotFoundError) as never:
        one.get_execution_summary("never", "other")
    assert stranger.value.message == never.value.message


async def test_interleaved_tasks_never_mix() -> None:
    clock = ManualClock()
    one = tracker(clock)

    async def request(number: int) -> None:
        for depth in range(3):
            with one.track_stage(f"stage-{depth}", "x", f"t{number}"):
                await clock.sleep(0.1 * (number % 7 + 1))
                with one.track_substage(f"part-of-{number}", "x"):
                    assert stages.CURRENT_STAGE.get() == f"part-of-{number}"
                    await clock.sleep(0.1)
                assert stages.CURRENT_STAGE.get() == f"stage-{depth}"
        assert stages.CURRENT_STAGE.get() is None

    tasks = [asyncio.create_task(request(number)) for number in range(50)]
    await clock.advance(10)
    await asyncio.gather(*tasks)
    for number in range(50):
        summary = one.get_execution_summary(f"t{number}")
        assert [stage.stage for stage in summary.stages] == ["stage-0", "stage-1", "stage-2"]
        for stage in summary.stages:
            assert [part.stage for part in stage.substages] == [f"part-of-{number}"]
            assert stage.seconds == pytest.approx(0.1 * (number % 7 + 1) + 0.1)


def test_os_threads_never_mix() -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=1.0)
    barrier = threading.Barrier(8)

    def request(number: int) -> None:
        barrier.wait(10)
        for _ in range(20):
            with one.track_stage("outer", "x", f"t{number}"), one.track_substage(f"inner-{number}", "x"):
                pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(request, range(8)))
    for number in range(8):
        outer = one.get_execution_summary(f"t{number}").stages
        assert [part.stage for stage in outer for part in stage.substages] == [f"inner-{number}"] * 20
    (row,) = one.get_stage_statistics("outer")
    assert row.count == 160


async def test_a_substage_of_another_thread_is_a_stage_of_its_own() -> None:
    one = tracker(ManualClock())
    with one.track_stage("a", "a", "t1"), one.track_substage("b", "b", "t2"):
        pass
    with one.track_substage("c", "c"):
        pass
    assert one.get_execution_summary("t1").stages[0].substages == ()
    assert one.get_execution_summary("t2").stages[0].stage == "b"


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
    assert sum(1 + len(stage.substages) for stage in one.get_execution_summary("busy").stages) == 5
    one.clear_thread_data("busy")
    one.clear_thread_data("never")
    with pytest.raises(ExecutionNotFoundError):
        one.get_execution_summary("busy")


async def test_statistics_are_those_of_the_durations() -> None:
    clock = ManualClock()
    one = tracker(clock)
    for number in range(1, 101):
        with one.track_stage("a", "a", f"t{number}"):
            await clock.advance(number / 1000)
    (row,) = one.get_stage_statistics("a")
    assert (row.count, row.errors) == (100, 0)
    assert [row.minimum, row.maximum, row.mean] == pytest.approx([0.001, 0.1, 0.0505])
    assert [row.p50, row.p95, row.p99] == pytest.approx([0.050, 0.095, 0.099], rel=0.03)
    assert one.get_stage_statistics("never") == ()
