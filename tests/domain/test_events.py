"""Events in columns are the events that went in."""

from hypothesis import given
from hypothesis import strategies as st

from domain.delta import Delta, Shape
from domain.events import Events, columns
from domain.model import Cancelled, Complete, Event, Status, StatusState

SHAPES = [Shape(), Shape(b"{", b"}"), Shape(reasoning="r", plain=False)]
any_event: st.SearchStrategy[Event] = st.one_of(
    st.builds(Delta.shaped, st.text(max_size=3), st.sampled_from(SHAPES)),
    st.sampled_from([Status(StatusState.QUEUED, 1), Complete("stop", None, "m", "p/m"), Cancelled("requested")]),
)
some = st.lists(any_event, max_size=8)


@given(some, st.integers(-9, 9), st.integers(-9, 9))
def test_as_a_sequence_they_are_the_list_of_the_events(events: list[Event], first: int, last: int) -> None:
    given_columns = columns(events)
    assert len(given_columns) == len(events)
    assert list(given_columns) == events
    assert [given_columns[place] for place in range(len(events))] == events
    assert given_columns[first:last] == events[first:last]
    assert all(type(one) is type(other) for one, other in zip(given_columns, events, strict=True))
    assert columns(given_columns) is given_columns


@given(some, some, st.integers(0, 9))
def test_what_is_added_comes_behind(events: list[Event], others: list[Event], count: int) -> None:
    one, two = columns(events), columns(events)
    one.extend(others)
    two.extend(columns(others))
    assert one == two == events + others
    assert one[count : count + 3] == (events + others)[count : count + 3]


@given(some, some)
def test_they_are_equal_if_the_events_are(events: list[Event], others: list[Event]) -> None:
    assert (columns(events) == columns(others)) is (events == others)
    assert (columns(events) == tuple(others)) is (events == others)
    assert columns(events) != 1


def test_deltas_of_one_shape_are_added_by_their_texts() -> None:
    events: Events[Delta] = Events([], [])
    events.add(["a", "b"], SHAPES[1])
    assert events == [Delta.shaped("a", SHAPES[1]), Delta.shaped("b", SHAPES[1])]
