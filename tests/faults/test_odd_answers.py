"""Answers that are odd and right: they are delivered as they are, by the first target (R5, S15)."""

from pathlib import Path

import pytest

from tests.faults.behaviours import BIG_TEXT
from tests.faults.exchange import UNICODE_TEXT
from tests.faults.harness import bench


@pytest.mark.parametrize("kind", ["ok", "no-done", "no-done-cut", "no-done-open", "dressed", "plain", "no-usage"])
async def test_an_odd_answer_is_an_answer_r5(upstream: str, tmp_path: Path, kind: str) -> None:
    async with bench(upstream, tmp_path, f"odd--{kind}", f"odd-{kind}--ok") as one:
        got = await one.ask()
        assert (got.text.split()[-1], got.finishes, got.done, got.error) == ("tok60", ["stop"], True, None)
        assert len(got.usages) == (0 if kind == "no-usage" else 1)
        assert await one.calls(f"odd--{kind}", f"odd-{kind}--ok") == [1, 0]
        waited = await one.hangups(f"odd--{kind}", count=kind == "no-done-open")
        assert all(0.9 <= seconds < 3.0 for seconds in waited)  # for an end mark a second, and no more


async def test_any_text_split_at_every_byte_is_whole_s15(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "odd--unicode") as one:
        got = await one.ask()
        assert got.text == UNICODE_TEXT + "\ud83d\ude00"
        assert got.done
        assert await one.calls("odd--unicode") == [1]
        await one.hangups("odd--unicode", 0)


async def test_an_event_of_a_megabyte_is_whole(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "odd--big-event") as one:
        got = await one.ask()
        assert got.text == "x" * BIG_TEXT
        assert got.done
        assert await one.calls("odd--big-event") == [1]
        await one.hangups("odd--big-event", 0)
