"""Tables for a terminal."""

from collections.abc import Sequence


def printable(text: str) -> str:
    """The text, with all that a terminal might take for a command spelled out."""
    return text if text.isprintable() else ascii(text)


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """The rows under each other, a line each."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)
