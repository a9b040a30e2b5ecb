"""Events in two columns: their texts, and what else each of them is.

Most of an answer shares one shape: in columns, a token costs its text and two places in lists, and no object for the
garbage collector to look at. As a sequence of events it makes them when they are asked for.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, TypeAlias, TypeVar, cast, overload

from domain.delta import Delta, Shape
from domain.model import Complete, Event, Status, Terminal

E = TypeVar("E", bound=Event)
Kind: TypeAlias = Shape | Status | Terminal
"""A delta's shape; every other event itself."""

_new_delta = tuple.__new__


class Events(Sequence[E], Generic[E]):
    """`texts` and `kinds` are as long as each other; what is no delta has an empty text."""

    __slots__ = ("kinds", "texts")

    def __init__(self, texts: list[str], kinds: list[Kind]) -> None:
        self.texts = texts
        self.kinds = kinds

    def __len__(self) -> int:
        return len(self.kinds)

    @overload
    def __getitem__(self, place: int) -> E: ...
    @overload
    def __getitem__(self, place: slice) -> "Events[E]": ...
    def __getitem__(self, place: int | slice) -> "E | Events[E]":
        if isinstance(place, slice):
            return Events(self.texts[place], self.kinds[place])
        return cast("E", _event(self.texts[place], self.kinds[place]))

    def __iter__(self) -> Iterator[E]:
        return cast("Iterator[E]", map(_event, self.texts, self.kinds))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Events):
            return self.kinds == other.kinds and self.texts == other.texts
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def add(self, texts: list[str], shape: Shape) -> None:
        """Deltas of one shape, at the end."""
        self.texts += texts
        self.kinds += [shape] * len(texts)

    def extend(self, events: Sequence[E]) -> None:
        """Other events, at the end."""
        others = events if type(events) is Events else columns(events)
        self.texts += others.texts
        self.kinds += others.kinds


class Answer(Events[Delta | Complete]):
    """A complete answer, fit to be replayed: its deltas, then its end. `size` is its weight in bytes.

    Nobody changes it any more: the cache, the streams that replay it and their readers share it.
    """

    __slots__ = ("packed", "replayed", "size")

    def __init__(self, events: Sequence[Delta | Complete], size: int) -> None:
        given = columns(events)
        super().__init__(given.texts, given.kinds)
        self.size = size
        self.replayed = False
        """Whether it has been written for somebody: only what is asked for again is worth remembering as bytes."""
        self.packed = b""
        """As the adapters that store events keep them, once one has packed or unpacked it: a replay is stored too."""


def columns(events: Sequence[E]) -> Events[E]:
    """The same events in columns; those that are, as they are."""
    if isinstance(events, Events):
        return events
    texts: list[str] = []
    kinds: list[Kind] = []
    for event in events:
        if isinstance(event, Delta):
            texts.append(event[0])
            kinds.append(event[1])
        else:
            texts.append("")
            kinds.append(event)
    return Events(texts, kinds)


def _event(text: str, kind: Kind) -> Event:
    return _new_delta(Delta, (text, kind)) if isinstance(kind, Shape) else kind
