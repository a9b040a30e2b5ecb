"""One large event, written piece by piece: a reader that is slow holds a piece of it, and not the whole (S11)."""

import re
from collections.abc import Iterator

from domain.delta import Shape
from domain.json_line import one_line
from entrypoints.wire import json_text

PIECE_BYTES = 128 << 10
MARK = "\0"
"""Stands for the text; JSON that is not ours has none."""
_EXTRA = b'{"\\u0001":0}'
_MARKS = re.compile(rb'("\\u0000"|"\\u0001":0)')


def marked(shape: Shape) -> Shape:
    """The shape with a mark in the place of its `extra`, which may be most of the event; without one that is empty."""
    return shape._replace(extra=_EXTRA if shape.extra.strip(b"{ }") else b"")


def pieces(around: bytes, text: str, shape: Shape) -> Iterator[bytes]:
    """The JSON `around` with `text` and the `extra` of the shape in the places of their marks."""
    for part in _MARKS.split(around):
        if part == b'"\\u0000"':
            yield b'"'
            for start in range(0, len(text), PIECE_BYTES):
                yield json_text.dumps(text[start : start + PIECE_BYTES])[1:-1]
            yield b'"'
        elif part == b'"\\u0001":0':
            yield from slices(one_line(shape.extra.strip())[1:-1])
        else:
            yield from slices(part)


def slices(data: bytes) -> Iterator[bytes]:
    """The bytes, a piece at a time."""
    if len(data) <= PIECE_BYTES:
        yield data
        return
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]
