"""Reads a text as its reader will: escapes of URLs, JSON and Python are undone, and places can be taken back."""

import re
from bisect import bisect_right

_ESCAPE = re.compile(
    r"%[0-7][0-9A-Fa-f]|(?:%[89A-Fa-f][0-9A-Fa-f]){1,64}|\\u[0-9a-fA-F]{4}"
    r"|\\x[0-7][0-9a-fA-F]|(?:\\x[89a-fA-F][0-9a-fA-F]){1,64}|\\[nrt\"'/]"
)
# A terminal's colour ends in a letter, which would be taken for the first of the next word.
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,16}m")
_SINGLE = {"n": "\n", "r": "\r", "t": "\t"}


class View:
    """A text with its escapes undone and its colours blank."""

    __slots__ = ("_at", "_source", "text")

    def __init__(self, source: str) -> None:
        # In pairs: a place in the view, the place in the source. Between two of them both count alike, or one is inside
        # an escape.
        self._at: list[int] = []
        self._source: list[int] = []
        if "%" in source or "\\" in source:
            self.text = self._read(source)
        else:
            self.text = source
        if "\x1b[" in self.text:
            self.text = _COLOUR.sub(lambda colour: " " * len(colour[0]), self.text)

    def source(self, span: tuple[int, int]) -> tuple[int, int]:
        """Give a place's place in the source; what is partly an escape takes the whole of it."""
        start, end = span
        return (self._place(start, after=False), self._place(end, after=True)) if self._at else (start, end)

    def _read(self, source: str) -> str:
        pieces: list[str] = []
        length = kept = 0
        for escape in _ESCAPE.finditer(source):
            character = _unescaped(escape[0])
            pieces += (source[kept : escape.start()], character)
            length += escape.start() - kept
            self._at += (length, length + len(character))
            self._source += (escape.start(), escape.end())
            length += len(character)
            kept = escape.end()
        return "".join((*pieces, source[kept:]))

    def _place(self, place: int, *, after: bool) -> int:
        # Even entries begin an escape, odd ones end it.
        index = bisect_right(self._at, place) - 1
        if index < 0:
            return place
        distance = place - self._at[index]
        if index % 2 == 1 or distance == 0:
            return self._source[index] + distance
        return self._source[index + 1] if after else self._source[index]


def _unescaped(escape: str) -> str:
    if escape.startswith("\\u"):
        return bytes.fromhex(escape[2:]).decode("utf-16-be", "replace")
    if escape[0] == "%" or escape[1] == "x":
        return bytes.fromhex(escape.replace("%", "").replace("\\x", "")).decode("utf-8", "replace")
    return _SINGLE.get(escape[1], escape[1])
