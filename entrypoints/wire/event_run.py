"""Events that differ by number and text alone, as most of an answer does: found, and written all at once."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from domain.delta import Shape
from domain.events import Events, Kind
from domain.json_line import one_line
from domain.model import Event
from entrypoints.wire import json_text

_NUMBERS = tuple(map(str, range(1024)))  # making them is a third of encoding an answer
_encode = msgspec.json.Encoder().encode


class Run(NamedTuple):
    """All events from `begin` to `end` have this shape, and no others have."""

    shape: Shape
    begin: int
    end: int

    def texts(self, events: Events[Event]) -> list[str]:
        """Theirs."""
        return events.texts[self.begin : self.end]


def find_run(kinds: Sequence[Kind]) -> Run | None:
    """The run that most of these are, as far as one event tells: the first and the last ones are others."""
    shape = kinds[len(kinds) // 2] if kinds else None
    if type(shape) is not Shape:
        return None
    begin, end = kinds.index(shape), len(kinds)
    while kinds[end - 1] != shape:
        end -= 1
    return Run(shape, begin, end) if kinds.count(shape) == end - begin else None


def write_run(epoch: str, first: int, texts: list[str], head: str, tail: str, around: tuple[bytes, bytes]) -> bytes:
    """Texts in columns, joined once: half of what a format for each of them takes. `head` and `tail` stand around each
    text, `around` around the whole: who joined that on later would copy the whole once more."""
    count, last = len(texts), first + len(texts)
    before, after = [part.decode("utf-8", "surrogateescape") for part in around]
    pieces = [""] * (4 * count)
    pieces[::4] = _NUMBERS[first:last] if last <= len(_NUMBERS) else map(str, range(first, last))
    pieces[1::4] = [head] * count
    pieces[2::4] = texts
    pieces[3::4] = [f"{tail}\n\nid: {epoch}-"] * count
    pieces[0] = f"{before}id: {epoch}-{pieces[0]}"
    pieces[-1] = f"{tail}\n\n{after}"
    return "".join(pieces).encode("utf-8", "surrogateescape")


def escaped(texts: list[str]) -> list[str]:
    """The texts as JSON has them between the quotes, safe in a line (S15)."""
    try:
        whole = one_line(_encode(texts)).decode()
    except UnicodeEncodeError:  # half of a surrogate pair
        whole = ""
    if not whole or '\\","' in whole:  # a text that ends with a quote and a comma looks like two
        return [json_text.dumps(text).decode()[1:-1] for text in texts]
    return whole[2:-2].split('","')
