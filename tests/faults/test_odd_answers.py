"""Answers that are odd and right: they are delivered as they are, by the first target (R5, S15)."""

from pathlib import Path

import pytest

from tests.faults.behaviours import BIG_TEXT
from tests.faults.exchange import UNICODE_TEXT
from tests.faults.harness import bench


@pytest.mark.parametrize("kind", ["ok", "no-done", "no-done-cut", "no-done-open", "dressed", "plain", "no-usage"])
async def test_an_odd_answer_is_an_answer_r5(upstream: str, tmp_path: Path, kind: str) -> None:
    async with bench(upstream, tmp_path, f"odd--{kind}", "odd--ok") as one:
        got = await one.ask()
        assert (got.text.split()[-1], got.finishes, got.done, got.error) == ("tok60", ["stop"], True, None)
        assert len(got.usages) == (0 if kind == "no-usage" else 1)
        assert await one.calls(f"odd--{kind}") == [1]


async def test_any_text_split_at_every_byte_is_whole_s15(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "odd--unicode") as one:
        got = await one.ask()
        assert got.text == UNICODE_TEXT + "\ud83d\ude00"
        assert got.done


async def test_an_event_of_a_megabyte_is_whole(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "odd--big-event") as one:
        got = await one.ask()
        assert got.text == "x" * BIG_TEXT
        assert got.done
