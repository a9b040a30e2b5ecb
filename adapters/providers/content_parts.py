"""A content that is a list of parts, as Mistral's models answer: its text, its thoughts, and whether there is more."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class ReadParts(NamedTuple):
    """What parts say."""

    text: str
    thoughts: str
    more: bool
    """Whether there are parts of other types."""


def read_parts(parts: Sequence[Any]) -> ReadParts:
    """The parts, which may be texts, `text` or `thinking` parts, put together by kind."""
    text, thoughts, more = "", "", False
    for part in parts:
        if isinstance(part, str):
            text += part
        elif not isinstance(part, dict):
            continue
        elif part.get("type") == "thinking":
            inner = part.get("thinking")
            thoughts += read_parts([inner] if isinstance(inner, str) else inner or ()).text
        elif isinstance(said := part.get("text"), str):
            text += said
        else:
            more = True
    return ReadParts(text, thoughts, more)
