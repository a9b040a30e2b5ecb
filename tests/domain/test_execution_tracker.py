"""The tracker: what was timed, for whom, and that nothing is covered up."""

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.memory.clock import SystemClock
from adapters.memory.manual_clock import ManualClock
from domain.errors import ExecutionNotFoundError, ProviderTimeoutError
from domain.services.execution_summary import ExecutionSummary, StageSummary
from domain.services.execution_tracker import MAX_TIMINGS, ExecutionTracker


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
    deepest = StageSummary("REDIS.GET_OPERATION", "GET", 3.0, 3.0, None, None, ())
    assert summary.stages[0].substages == (
        StageSummary("2.1_L1_CACHE_LOOKUP", "L1 lookup", 1.0, 5.0, None, None, (deepest,)),
        StageSummary("2.2_L2_CACHE_LOOKUP", "L2 lookup", 6.0, 4.0, None, None, ()),
    )
    assert [(stage.stage, stage.started, stage.seconds) for stage in summary.stages] == [
        ("2.0_CACHE_LOOKUP", 0.0, 10.0),
        ("5.0_LLM_STREAMING", 10.5, 10.0),
    ]
    # What the stages do not cover is named: together they are the whole.
    assert (summary.seconds, summary.untracked, summary.overlapping) == (20.5, 0.5, 0.0)
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
    assert summary.overlapping == pytest.approx(2.0)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 10)), min_size=1, max_size=8))
@settings(max_examples=50)
def test_any_stages_add_up_to_the_total_and_what_is_missing_is_named(rows: list[tuple[int, int]]) -> None:
    async def request() -> ExecutionSummary:
        clock = ManualClock()
        one = tracker(clock)

        async def stage(begin: int, seconds: int) -> None:
            await clock.sleep(begin)
            with one.track_stage("a", "a", "t"):
                await clock.sleep(seconds)

        tasks = [asyncio.create_task(stage(*row)) for row in rows]
        await clock.advance(40)
        await asyncio.gather(*tasks)
        return one.get_execution_summary("t")

    summary = asyncio.run(request())
    counted = sum(stage.seconds or 0.0 for stage in summary.stages)
    assert counted + summary.untracked - summary.overlapping == pytest.approx(summary.seconds)
    # The same, counted second by second.
    covered = {second for begin, seconds in rows for second in range(begin, begin + seconds)}
    first, last = min(begin for begin, _ in rows), max(begin + seconds for begin, seconds in rows)
    assert summary.seconds == pytest.approx(last - first)
    assert summary.untracked == pytest.approx(last - first - len(covered))


def test_exceptions_are_noted_by_type_and_code_and_pass() -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=1.0)
    with pytest.raises(ProviderTimeoutError), one.track_stage("a", "a", "t"), one.track_substage("b", "b"):
        raise ProviderTimeoutError("planted text", details={"seconds": 3})
    with pytest.raises(ValueError, match="planted"), one.track_stage("c", "c", "t"):
        raise ValueError("planted text")
    summary = one.get_execution_summary("t")
    assert [(stage.error, stage.code) for stage in summary.stages] == [
        ("ProviderTimeoutError", "provider_timeout"),
        ("ValueError", None),
    ]
    assert summary.stages[0].substages[0].code == "provider_timeout"
    assert "planted" not in repr(summary)
    assert [(row.stage, row.count, row.errors) for row in one.get_stage_statistics()] == [
        ("a", 1, 1),
        ("b", 1, 1),
        ("c", 1, 1),
    ]


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError, KeyboardInterrupt])
def test_what_only_ends_a_stage_is_noted_but_is_no_error(kind: type[BaseException]) -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=1.0)
    with pytest.raises(kind), one.track_stage("a", "a", "t"):
        raise kind("planted")
    (stage,) = one.get_execution_summary("t").stages
    # `SystemExit.code` is whatever was given to it: a foreign code may be text (P1).
    assert (stage.error, stage.code) == (kind.__name__, None)
    (row,) = one.get_stage_statistics()
    assert (row.count, row.errors) == (1, 0)


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
    assert [stage.stage for stage in one.get_execution_summary("t").stages] == ["a", "later"]


async def test_a_clock_that_begins_at_nought_is_a_clock() -> None:
    clock = ManualClock(start=0.0)
    one = tracker(clock)
    with one.track_stage("a", "a", "t"):
        await clock.advance(2)
    assert one.get_execution_summary("t").seconds == 2.0


async def test_a_stage_that_is_entered_twice_counts_once() -> None:
    clock = ManualClock()
    one = tracker(clock)
    stage = one.track_stage("a", "a", "t")
    with stage, stage:
        await clock.advance(1)
    with stage, one.track_substage("b", "b"):
        pass
    assert [(row.stage, row.count) for row in one.get_stage_statistics()] == [("a", 1)]
    assert one.stage_seconds("t") == (("a", 1.0),)


def test_a_server_timing_header_is_short_and_made_of_tokens() -> None:
    one = ExecutionTracker(SystemClock(), sample_rate=1.0)
    for _ in range(MAX_TIMINGS + 1):
        with one.track_stage('x";\r\nSet-Cookie: ä', "x", "t"):
            pass
    timings = one.server_timing("t").split(", ")
    assert len(timings) == MAX_TIMINGS
    assert {timing.partition(";dur=")[0] for timing in timings} == {"x____Set-Cookie___"}


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


async def test_statistics_are_those_of_the_durations() -> None:
    clock = ManualClock()
    one = tracker(clock)
    for number in range(1, 101):
        with one.track_stage("a", "a", f"t{number}"):
            await clock.advance(number / 1000)
    row = one.get_stage_statistics("a")
    assert row is not None
    assert one.get_stage_statistics() == (row,)
    assert (row.count, row.errors) == (100, 0)
    assert [row.minimum, row.maximum, row.mean] == pytest.approx([0.001, 0.1, 0.0505])
    assert [row.p50, row.p95, row.p99] == pytest.approx([0.050, 0.095, 0.099], rel=0.03)
    assert one.get_stage_statistics("never") is None
