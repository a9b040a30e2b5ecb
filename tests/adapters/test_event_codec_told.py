"""A provider's words in a stream's log: they come back whole, and old readers and old rows are no trouble (R9)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.redis.event_codec import decode_events, encode_events
from domain.errors import UpstreamErrorBody
from domain.model import Failed

TEXTS = st.none() | st.text()


class _OldFailedRow(msgspec.Struct, tag="failed", frozen=True):
    """As it was before there were words."""

    code: str
    message: str
    retryable: bool
    retry_after: float | None
    param: str | None


@given(st.none() | st.builds(UpstreamErrorBody, st.integers(400, 422), TEXTS, TEXTS, TEXTS, TEXTS, st.binary()))
def test_they_come_back_whole(told: UpstreamErrorBody | None) -> None:
    event = Failed("c", "m", False, None, "p", told)  # noqa: FBT003 - an event
    (got,) = decode_events(encode_events([event]))
    assert isinstance(got, Failed)
    assert (got, None if got.told is None else tuple(got.told)) == (event, None if told is None else tuple(told))


def test_an_old_reader_passes_over_them() -> None:
    data = encode_events([Failed("c", "m", False, told=UpstreamErrorBody(400, "words"))])  # noqa: FBT003
    assert msgspec.msgpack.decode(data, type=list[_OldFailedRow]) == [_OldFailedRow("c", "m", False, None, None)]  # noqa: FBT003


@pytest.mark.parametrize("told", [{}, {"told": None}, {"told": {"status": 404, "later": [1]}}])
def test_old_and_later_rows_are_read(told: dict[str, Any]) -> None:
    row = {
        "type": "failed",
        "code": "c",
        "message": "m",
        "retryable": False,
        "retry_after": None,
        "param": None,
        **told,
    }
    (got,) = decode_events(msgspec.msgpack.encode([row]))
    assert isinstance(got, Failed)
    assert (got.told is not None) is bool(told.get("told"))
