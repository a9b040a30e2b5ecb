"""JSON with a wrong type in it -> the same with the right one: for bookkeeping no good answer is given up."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adapters.providers.request_body import encoded

SAID = frozenset({"content", "text", "thinking"})
"""Texts of the answer itself. What stands there instead is not guessed at."""
HELD = frozenset({"choices", "candidates", "delta", "content_block", "parts"})
"""What the answer is in. Something else there, unless it is empty, may be the answer in a form that nobody knows."""
JSON_TEXTS = frozenset({"arguments", "partial_json"})
"""JSON inside a text. Some providers send the object itself."""
REASONS = frozenset({"finish_reason", "stop_reason", "finishReason"})
MAX_DIGITS = 32


class UnfitError(ValueError):
    """A text of the answer is none, or what should be an object is none."""


def fitted(value: Any, kind: msgspec.inspect.Type, name: str = "") -> Any:
    """`value` as the type `kind` wants it: the very object where it fits, members that `kind` does not know included.

    A number becomes a text, a text of digits or a fraction a whole number, an object the only item of a list, and an
    object in the place of JSON text that text. What is of no use becomes None. `name` is that of the member. Raises
    `UnfitError` for a text of the answer that is none.
    """
    if value is None:
        return None
    kinds: Sequence[msgspec.inspect.Type] = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    for one in kinds:
        match one:
            case msgspec.inspect.AnyType():
                return value
            case msgspec.inspect.StructType() if isinstance(value, dict):
                return _members(value, one)
            case msgspec.inspect.ListType() if isinstance(value, list):
                return _items(value, one, name)
            case msgspec.inspect.StrType() if isinstance(value, str):
                return value
            case msgspec.inspect.BoolType() if isinstance(value, bool):
                return value
            case msgspec.inspect.IntType() if type(value) is int and _within(value, one):
                return value
    return _changed(value, kinds, name)


def _changed(value: Any, kinds: Sequence[msgspec.inspect.Type], name: str) -> Any:
    """What does not fit as it is."""
    if name in SAID:
        raise UnfitError(name)
    for one in kinds:
        match one:
            case msgspec.inspect.StrType():
                return _text(value, name)
            case msgspec.inspect.IntType() if name == "index" and type(value) is int:
                raise UnfitError(name)  # a place that no list has
            case msgspec.inspect.IntType():
                return number if (number := whole(value)) is not None and _within(number, one) else None
            case msgspec.inspect.ListType() if isinstance(value, dict):
                many = bool(value) and all(key.isdecimal() for key in value)
                return _items(list(value.values()) if many else [value], one, name)
    if name in HELD and value:
        raise UnfitError(name)
    return None


def _members(value: dict[str, Any], kind: msgspec.inspect.StructType) -> dict[str, Any]:
    changes = {}
    for field in kind.fields:
        name = field.encode_name
        if name in value and (there := fitted(value[name], field.type, name)) is not value[name]:
            changes[name] = there
    return {**value, **changes} if changes else value


def _items(value: list[Any], kind: msgspec.inspect.ListType, name: str) -> list[Any]:
    items = [there for one in value if (there := fitted(one, kind.item_type, name)) is not None]
    same = len(items) == len(value) and all(one is there for one, there in zip(value, items, strict=True))
    return value if same else items


def _text(value: Any, name: str) -> str | None:
    if name in JSON_TEXTS and isinstance(value, dict | list):
        return encoded(value).decode()
    if name in REASONS:
        return _reason(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
    return None


def _reason(value: Any) -> str | None:
    """A reason for stopping of any type: it is one if anything is there."""
    if isinstance(value, Mapping):
        value = next((one for one in value.values() if isinstance(one, str) and one), bool(value))
    if isinstance(value, str):
        return value
    return "stop" if value else None


def whole(value: Any) -> int | None:
    """A number of any notation as a whole one, or None."""
    if isinstance(value, str) and len(value) <= MAX_DIGITS:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value - value != 0:  # infinite, or no number
        return None
    return int(value)


def _within(number: int, kind: msgspec.inspect.IntType) -> bool:
    return (kind.ge is None or number >= kind.ge) and (kind.lt is None or number < kind.lt)
