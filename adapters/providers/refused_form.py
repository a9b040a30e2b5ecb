"""What an error says about the form of a call: that the provider does not stream, or does not know `stream_options`."""

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

STATUSES = frozenset({400, 403, 422})
"""The statuses of such a refusal."""
MAX_DEPTH = 8
"""Objects, lists and JSON in texts, one in the other."""

_PLACES = ("param", "parameter", "field", "loc", "path")
"""Where the name of what is refused stands: OpenAI's key, and those of pydantic and others."""
_WORDS = ("code", "type", "error_type", "reason")
_WITHIN = ("error", "errors", "detail", "details", "message", "metadata", "raw")
"""Under which an error has others. Not `input` and `ctx`, in which pydantic sends back what was asked."""
_TEXTS = ("message", "detail", "error", "msg")
_SPLIT = re.compile(r"[^A-Za-z0-9_]+")
_NO_STREAM = re.compile(r"(?=.*stream)(?=.*(?:unsupported|not_?supported|not_?allowed|not_?available|disabled))")
_OPTIONS = re.compile(r"\bstream_options\b")


class Refused(StrEnum):
    """A part of the form."""

    STREAM = "stream"
    STREAM_OPTIONS = "stream_options"


def refused_form(status: int, body: bytes) -> Refused | None:
    """What of the form of the call an error refuses; None if it says nothing about that.

    By status, code and the names of parameters. The text counts for one case alone, which has neither code nor
    parameter where it is told most often (`Unrecognized request argument supplied: stream_options`).
    """
    if status not in STATUSES:
        return None
    try:
        content = json.loads(body)
    except RecursionError:
        return None
    except ValueError:  # a text, as servers without a framework answer
        content = {"message": body.decode(errors="replace")}
    errors = list(_errors(content, 0))
    names = [name for error in errors for place in _PLACES for name in _names(error.get(place))]
    if Refused.STREAM_OPTIONS in names or "include_usage" in names:
        return Refused.STREAM_OPTIONS
    if Refused.STREAM in names:
        return Refused.STREAM
    words = [word for error in errors for key in _WORDS if isinstance(word := error.get(key), str)]
    if any(len(word) <= 100 and _NO_STREAM.match(word.lower().replace("-", "_")) for word in words):
        return Refused.STREAM
    texts = [text for error in errors for key in _TEXTS if isinstance(text := error.get(key), str)]
    named = any(name.strip() for name in names if name.lower() not in {"none", "null", "body"})
    return Refused.STREAM_OPTIONS if not named and any(map(_OPTIONS.search, texts)) else None


def _errors(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The objects that make up an error, those in the texts of others included: gateways pass theirs on so."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return
    if isinstance(value, list):
        for one in value:
            yield from _errors(one, depth + 1)
    elif isinstance(value, dict):
        yield value
        for key in _WITHIN:
            if key in value:
                yield from _errors(value[key], depth + 1)


def _names(place: Any) -> Iterator[str]:
    """The names in a path, written as a text or as a list."""
    for part in place if isinstance(place, list) else [place]:
        if isinstance(part, str):
            yield from filter(None, _SPLIT.split(part[:200]))
