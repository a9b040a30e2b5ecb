"""Kind 17: a provider that never says why an answer ends; its row says that `[DONE]` is the end."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.providers.openai import OpenAIProvider
from adapters.settings import get_settings
from domain.errors import ConfigurationError
from tests.field.bytes_upstream import chunk, datas, doors

ROW = 'done = "finish"'
SAID = [chunk({"role": "assistant", "content": "A"}), chunk({"content": "B"})]
CALL = chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]})


async def test_done_ends_an_answer_where_the_row_says_so(tmp_path: Path) -> None:
    async with doors(tmp_path, row=ROW) as at:
        at.upstream.says(*SAID)
        *said, end, done = await at.streamed()
        assert (said, done) == (datas(SAID), b"[DONE]")
        assert json.loads(end) == {**chunk({}, "stop")}
        status, body = await at.plain()
        assert (status, body["choices"][0]["finish_reason"]) == (200, "stop")
        assert body["choices"][0]["message"]["content"] == "AB"
        name, last = (await at.native())[-1]
        assert (name, last["finish_reason"], last["model"]) == ("complete", "stop", "m-1")


async def test_calls_end_an_answer_as_calls(tmp_path: Path) -> None:
    async with doors(tmp_path, row=ROW) as at:
        at.upstream.says(CALL)
        _, body = await at.plain()
        assert body["choices"][0]["finish_reason"] == "tool_calls"


async def test_each_choice_that_has_begun_ends(tmp_path: Path) -> None:
    other = {**SAID[0], "choices": [{**SAID[0]["choices"][0], "index": 1, "finish_reason": "length"}]}
    third = {**SAID[0], "choices": [{**SAID[0]["choices"][0], "index": 2}]}
    async with doors(tmp_path, row=ROW) as at:
        at.upstream.says(SAID[0], other, third)
        _, body = await at.plain(n=3)
        assert [one["finish_reason"] for one in body["choices"]] == ["stop", "length", "stop"]


async def test_an_answer_in_one_piece_ends_too(tmp_path: Path) -> None:
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "A"}}]}
    async with doors(tmp_path, row=ROW) as at:
        at.upstream.body, at.upstream.kind = json.dumps(whole).encode(), "application/json"
        assert (await at.plain())[1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("row", "frames", "done"),
    [("", SAID, True), (ROW, SAID, False), (ROW, [], True), (ROW, [{"choices": [], "usage": None}], True)],
)
async def test_nothing_else_ends_one_r4(row: str, frames: list[Any], done: bool, tmp_path: Path) -> None:
    """Neither without the row, nor without the mark, nor where nothing was said."""
    async with doors(tmp_path, row=row) as at:
        at.upstream.says(*frames, done=done)
        status, body = await at.plain()
        assert (status, body["error"]["code"]) == (502, "upstream_truncated")


async def test_a_reason_that_came_is_not_told_twice(tmp_path: Path) -> None:
    frames = [*SAID, chunk({}, "length")]
    async with doors(tmp_path, row=ROW) as at:
        at.upstream.says(*frames)
        assert await at.streamed() == [*datas(frames), b"[DONE]"]


def test_the_row_takes_nothing_else(tmp_path: Path) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text('[providers.up]\nkind = "openai"\nbase_url = "http://127.0.0.1:1"\ndone = "yes"\n')
    with pytest.raises(ConfigurationError, match=r"providers\.up\.done"):
        get_settings({"HEADGATE_CONFIG": str(config)})
    with pytest.raises(ConfigurationError):
        OpenAIProvider("up", "http://127.0.0.1:1", done="yes")
