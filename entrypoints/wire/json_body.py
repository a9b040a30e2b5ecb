"""Request bodies: bytes to one JSON object, without holding up anybody else (BAD_INPUT 1-2, 7-13; G6)."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from domain.errors import InvalidJsonError
from entrypoints.wire.json_reader import MAX_DEPTH, MAX_DIGITS, JsonReader

AT_ONCE_BYTES, AT_ONCE_VALUES = 2 << 20, 10_000
"""A body that is no longer, and cannot have more values, is decoded in one go: in some ten milliseconds at most."""
SHORT_BYTES = 32 << 10
"""So few have no room for many more values: they are not counted."""

_DIGITS = bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(128)).ljust(256)
_TOO_MANY_DIGITS = b"0" * (MAX_DIGITS + 1)


def _read_float(text: str) -> float:
    """msgspec's own way takes 16 microseconds for a number like 1e308."""
    value = float(text)
    if math.isinf(value):
        raise ValueError("not finite")
    return value


_decode = msgspec.json.Decoder(float_hook=_read_float).decode


async def decode_object(body: bytes, bounds: Mapping[str, int]) -> dict[str, Any]:
    """The JSON object in `body`; `bounds` are the most items of lists at its top level. The last of duplicate keys
    wins. Raises a `RequestValidationError`.

    Plain bodies of an ordinary size are decoded at once. What is large, or may break a bound, or did not decode, is
    read in steps, and others have their turn in between: it says what is wrong, if anything is.
    """
    if len(body) <= AT_ONCE_BYTES and _is_plain(body):
        try:
            value = _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            value = None
        if type(value) is dict and (body.count(b"[") + body.count(b"{") <= MAX_DEPTH or not _too_deep(value)):
            return value
    reader = JsonReader(body, bounds)
    for _ in reader.steps():
        await asyncio.sleep(0)
    if not isinstance(reader.value, dict):
        raise InvalidJsonError("The body must be one JSON object.")
    return reader.value


def _is_plain(body: bytes) -> bool:
    """Whether it has no number that is too long, and not too many values, counted with what only looks like some."""
    if _TOO_MANY_DIGITS in body.translate(_DIGITS):
        return False
    return len(body) < SHORT_BYTES or body.count(b",") + body.count(b"[") + body.count(b"{") < AT_ONCE_VALUES


def _too_deep(root: object) -> bool:
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
