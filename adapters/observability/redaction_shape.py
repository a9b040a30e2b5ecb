"""Gives the shape of a text: letters, digits and what stands between, each all alike, for cheap looks at it."""

import string

_BETWEEN, _LETTER, _DIGIT = b" a0"
_ALIKE = bytes(
    _LETTER if chr(code) in string.ascii_letters else _DIGIT if chr(code) in string.digits else _BETWEEN
    for code in range(256)
)
TWO_DIGITS = b"00"


def shape_of(text: str) -> bytes:
    """Give the shape between two spaces: the text's character at `n` is the shape's at `n + 1`."""
    return b" %b " % text.encode("ascii", "replace").translate(_ALIKE)
