"""Request bodies: bytes to one JSON object, with every bad input named (BAD_INPUT 1-2, 7, 9-13)."""

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from domain.errors import (
    InvalidEncodingError,
    InvalidJsonError,
    JsonTooDeepError,
    NumberOutOfRangeError,
    RequestValidationError,
)

MAX_DEPTH = 64
# 2^64 has 20 digits; no parameter of any provider is larger.
MAX_DIGITS = 20
_decode = msgspec.json.Decoder().decode


def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. The last of duplicate keys wins. Raises a `RequestValidationError`."""
    try:
        value = _decode(body)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        # msgspec says that it is wrong; what is wrong is found at leisure. `from None`: its text may quote the body.
        raise _diagnose(body) from None
    if not isinstance(value, dict):
        raise InvalidJsonError("The body must be one JSON object.")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    return value


def _too_deep() -> JsonTooDeepError:
    return JsonTooDeepError(f"The body nests deeper than {MAX_DEPTH} levels.")


def _deeper_than(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _diagnose(body: bytes) -> RequestValidationError:
    """The error for a body that msgspec refuses."""
    if not body.strip():
        return InvalidJsonError("The body is empty; a JSON object is expected.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return InvalidEncodingError("The body is not valid UTF-8.")
    if text[0] == "\ufeff" or "\x00" in text[:4]:
        return InvalidEncodingError("The body must be UTF-8 without a byte order mark.")
    try:
        value = json.loads(text, parse_int=_bounded_int, strict=True)
    except RecursionError:
        return _too_deep()
    except ValueError:
        return InvalidJsonError("The body is not valid JSON.")
    for path, item in _leaves(value):
        if isinstance(item, float) and not math.isfinite(item):
            error: type[RequestValidationError] = NumberOutOfRangeError
            return error("A number is not finite, or has too many digits.", details={"param": path})
        if isinstance(item, str) and any("\ud800" <= character <= "\udfff" for character in item):
            return InvalidEncodingError("A text holds half of a surrogate pair.", details={"param": path})
    return InvalidJsonError("The body is not valid JSON.")


def _bounded_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


def _leaves(root: object) -> Iterator[tuple[str, object]]:
    """Every string (keys too) and number below `root`, with its dotted path; iterative, so that depth cannot hurt."""
    stack: list[tuple[str, object]] = [("", root)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            for name, child in value.items():
                yield path, name
                stack.append((f"{path}.{_shown(name)}" if path else _shown(name), child))
        elif isinstance(value, list):
            stack.extend((f"{path}.{index}" if path else str(index), child) for index, child in enumerate(value))
        else:
            yield path, value


def _shown(name: str) -> str:
    """A field's name as far as it may be repeated to the caller: what looks like a name, never free text."""
    return name if len(name) <= 64 and name.isascii() and name.isidentifier() else "?"
