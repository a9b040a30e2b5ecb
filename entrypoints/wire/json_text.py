"""JSON as Headgate writes it into streams: one line, without what a careless reader takes for a line end (S15)."""

import json
from typing import Any

import msgspec

from domain.json_line import one_line

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def dumps(value: object) -> bytes:
    """`value` as JSON in one line. Any text passes, lone surrogates included (they become escapes)."""
    try:
        data = _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return one_line(data)


def loads(data: bytes) -> Any:
    """What a provider wrote: JSON, of which msgspec alone would refuse halves of surrogate pairs."""
    try:
        return _decode(data)
    except msgspec.DecodeError:
        return json.loads(data)
