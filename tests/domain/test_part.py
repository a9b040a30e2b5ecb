"""Parts that must run, turns that may fail, and walls (G8)."""

import asyncio

import pytest

from adapters.memory.defects import MAX_KEPT, MemoryDefects
from domain.part import LONG_SECONDS, PATIENCE, Part, PartEndedError, take_turns
from ports.defects import LOGGED_DEFECTS, Wall, Where
from tests.service import until


async def ends() -> None:
    """A part that returns, though it must not."""


async def breaks() -> None:
    raise RuntimeError("a defect")


async def is_cancelled() -> None:
    """By something that it waits for, and by nobody who closes it."""
    gone = asyncio.get_running_loop().create_future()
    gone.cancel()
    await gone


WORKS = [(ends, PartEndedError), (breaks, RuntimeError), (is_cancelled, PartEndedError)]


@pytest.mark.parametrize(("work", "kind"), WORKS)
async def test_a_part_that_ends_by_itself_breaks_the_process_g8(work: object, kind: type[Exception]) -> None:
    defects = MemoryDefects()
    part = Part(work(), Where.SLOTS, defects)  # type: ignore[operator]
    assert not defects.failed
    await asyncio.sleep(0.01)
    assert defects.broken == "slots"
    assert [type(error) for _, error in defects.failed] == [kind]
    await part.aclose()
    assert len(defects.failed) == 1


async def test_a_part_that_is_closed_breaks_nothing_g8() -> None:
    defects = MemoryDefects()
    part = Part(asyncio.sleep(60), Where.SLOTS, defects)
    await asyncio.sleep(0)
    await part.aclose()
    await part.aclose()
    assert (defects.broken, defects.failed) == (None, [])


async def test_an_event_loop_that_is_closed_breaks_nothing_g8() -> None:
    """As a server that is forced to go leaves its tasks to be cancelled."""
    defects = MemoryDefects()
    Part(asyncio.sleep(60), Where.SLOTS, defects)
    await asyncio.sleep(0)
    (task,) = asyncio.all_tasks() - {asyncio.current_task()}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert defects.broken is None


async def test_a_turn_that_fails_costs_itself_and_many_in_a_row_end_the_part_g8() -> None:
    defects, turns = MemoryDefects(), 0

    async def turn() -> None:
        nonlocal turns
        turns += 1
        await asyncio.sleep(0)
        if turns != PATIENCE:  # one that does not fail begins anew
            raise RuntimeError(str(turns))

    Part.of_turns(turn, Where.FLEET, defects)
    await until(lambda: defects.broken == "fleet")
    assert [str(error) for _, error in defects.failed] == [str(2 * PATIENCE)]
    assert defects.places == [Where.FLEET] * (2 * PATIENCE - 2)


async def test_a_turn_that_did_its_work_for_long_is_not_one_of_a_row_g8(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, now, turns = asyncio.get_running_loop(), 0.0, 0
    monkeypatch.setattr(loop, "time", lambda: now)

    async def turn() -> None:
        nonlocal now, turns
        turns += 1
        now += LONG_SECONDS if turns < 3 * PATIENCE else 0.0
        raise RuntimeError(str(turns))

    with pytest.raises(RuntimeError, match=str(4 * PATIENCE - 2)):
        await take_turns(turn, Where.FLEET, MemoryDefects())


async def test_a_wall_holds_back_a_defect_and_no_cancellation_g1() -> None:
    defects = MemoryDefects()
    wall = Wall(defects, Where.CACHE)
    with wall:
        raise KeyError
    with wall, wall:
        pass
    for passes in (asyncio.CancelledError, KeyboardInterrupt):
        with pytest.raises(passes), wall:
            raise passes
    assert defects.places == [Where.CACHE]


def test_what_is_kept_is_bounded() -> None:
    defects = MemoryDefects()
    for _ in range(MAX_KEPT + 1):
        defects.report(Where.CACHE, KeyError())
        defects.fail(Where.CACHE, KeyError())
    assert (len(defects.reported), len(defects.failed), defects.broken) == (MAX_KEPT, MAX_KEPT, "cache")


def test_without_a_container_defects_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    LOGGED_DEFECTS.report(Where.CACHE, KeyError())
    LOGGED_DEFECTS.fail(Where.CACHE, KeyError())
    assert [record.levelname for record in caplog.records] == ["ERROR", "CRITICAL"]
    assert LOGGED_DEFECTS.broken is None
