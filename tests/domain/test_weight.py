"""What events weigh: no less than what they take, and what they share once."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from domain.delta import Delta, Dialect, Shape, ToolCallDelta
from domain.events import Events, columns
from domain.model import Complete, Status, StatusState
from domain.weight import weight

ASCII = st.text(st.characters(max_codepoint=127), max_size=50)
SHAPES = st.builds(Shape, st.binary(max_size=300), st.none() | st.binary(max_size=50), reasoning=ASCII)
SLOTS = 2 * 8 * 9 / 8
"""What an event takes in the lists that hold it, in bytes; they are an eighth longer than they need to be."""


def taken(deltas: Events[Delta], shape: Shape) -> float:
    """Bytes, by CPython's own count."""
    own = sum(sys.getsizeof(delta.text) + SLOTS for delta in deltas)
    return own + sum(map(sys.getsizeof, (shape, shape.head, shape.tail, shape.reasoning)))


@given(st.lists(ASCII, min_size=1, max_size=5), SHAPES)
def test_deltas_weigh_at_least_what_they_take_and_their_shape_once(texts: list[str], shape: Shape) -> None:
    deltas = columns([Delta.shaped(text, shape) for text in texts])
    assert weight(deltas) >= taken(deltas, shape)
    assert weight(deltas[:1]) + weight(deltas[1:], shape) == weight(deltas)


def test_pieces_of_tool_calls_weigh_and_an_end_does_not() -> None:
    call = Delta("", b"{}", Dialect.OPENAI, tool_calls=(ToolCallDelta(0, arguments="x" * 1_000),))
    assert weight(columns([call])) > weight(columns([Delta("", b"{}", Dialect.OPENAI)])) + 1_000
    signed = Delta(tool_calls=(ToolCallDelta(0, extra=b"x" * 1_000),), extra=b"x" * 1_000)
    assert weight(columns([signed])) > 2_000
    assert weight(columns([Complete("stop", None, "m", "p/m")])) == 0
    assert weight(columns([Status(StatusState.QUEUED)])) > 0
