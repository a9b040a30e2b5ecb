"""Redacts one value down to its leaves, within bounds of depth, of values and of text."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any

from adapters.observability.redaction_cards import is_card_number
from adapters.observability.redaction_text import CARD, IBAN, KEY, LONGEST_TEXT, NATIONAL_ID, PHONE

DEEPEST = 8
MOST_ITEMS = 200
MOST_VALUES = 2_000
MOST_TEXT = 131_072
LEFT_OUT = "[TRUNCATED]"

_CARD_NUMBERS = range(10**12, 10**19)
_OF_SIX_DIGITS = {"phone": PHONE, "iban": IBAN, "id": NATIONAL_ID}
_FEWEST_DIGITS = 6
_LONGEST_TYPE_NAME = 64
_MOST_CAUSES = 8
_PAIR = 2


class Walk:
    """One walk: what it still may read, and the containers it is in, so that a cycle ends."""

    __slots__ = ("_kind", "_open", "_redact", "_text_left", "_values_left")

    def __init__(self, redact: Callable[[str], str], kind: Callable[[str], str | None]) -> None:
        self._redact = redact
        self._kind = kind
        self._values_left = MOST_VALUES
        self._text_left = MOST_TEXT
        self._open: set[int] = set()

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Redact a log event: its own fields do not count as a level."""
        return self._mapping(event)

    def value(self, value: object) -> object:
        """Redact a value of any type."""
        if value is None or isinstance(value, (bool, float)):
            return value
        self._values_left -= 1
        if self._values_left < 0:
            return LEFT_OUT
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, int):
            return CARD if value in _CARD_NUMBERS and is_card_number(str(int(value))) else value
        try:
            return self._object(value)
        except Exception:  # noqa: BLE001 - a log line must not fail because of what it shows
            return self._text(f"[UNREADABLE {type(value).__name__[:_LONGEST_TYPE_NAME]}]")

    def _object(self, value: object) -> object:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._text(_decoded(value))
        if isinstance(value, BaseException):
            return self._text(_chain_of(value))
        if isinstance(value, range) or not (_is_record(value) or isinstance(value, (Mapping, Sequence, Set))):
            return self._text(repr(value))
        if len(self._open) >= DEEPEST or id(value) in self._open:
            return LEFT_OUT
        self._open.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._mapping(value)
            if isinstance(value, (Sequence, Set)):
                return self._items(value)
            return self._mapping(_fields_of(value))
        finally:
            self._open.discard(id(value))

    def field(self, key: object, item: object, found: dict[str, Any]) -> None:
        """Redact one field into those that were `found` before it."""
        name = str.__str__(key) if isinstance(key, str) else self._name(key)
        shown = self._named(name, item)
        found[_free(self._text(name), found)] = shown

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in islice(value.items(), MOST_ITEMS):
            self.field(key, item, found)
        if len(value) > MOST_ITEMS:
            found[_free(LEFT_OUT, found)] = len(value) - MOST_ITEMS
        return found

    def _items(self, value: Collection[object]) -> object:
        items = list(islice(value, MOST_ITEMS))
        if len(value) == _PAIR and isinstance(items[0], (str, bytes)):  # a header: (b"authorization", b"...")
            shown = [self.value(items[0]), self._named(self._name(items[0]), items[1])]
        else:
            shown = [self.value(item) for item in items]
        if len(value) > MOST_ITEMS:
            shown.append(f"{LEFT_OUT} {len(value) - MOST_ITEMS}")
        return tuple(shown) if isinstance(value, tuple) else shown

    def _name(self, key: object) -> str:
        return _decoded(key) if isinstance(key, bytes) else str(self.value(key))

    def _named(self, name: str, value: object) -> object:
        """Redact a field: where its name tells of a secret, the whole value goes."""
        kind = self._kind(name)
        if kind is None or value is None or isinstance(value, (bool, float)):
            return self.value(value)
        if kind == "key":
            return KEY
        shown = self.value(value)
        if not isinstance(shown, (str, int)):
            return shown
        if kind == "card":
            return CARD
        return _OF_SIX_DIGITS[kind] if sum(map(str.isdigit, str(shown))) >= _FEWEST_DIGITS else shown

    def _text(self, text: str) -> str:
        if self._text_left <= 0:
            return LEFT_OUT
        self._text_left -= min(len(text), LONGEST_TEXT)
        return self._redact(text)


def _is_record(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _fields_of(value: Any) -> dict[str, object]:
    """Give a dataclass's fields; those that its author keeps out of its repr stay out."""
    return {field.name: getattr(value, field.name) for field in fields(value) if field.repr}


def _free(name: str, taken: Mapping[str, object]) -> str:
    """Give the name, or one with a number: redaction must not make two fields one."""
    if name not in taken:
        return name
    return next(numbered for number in range(2, len(taken) + 3) if (numbered := f"{name}#{number}") not in taken)


def _decoded(value: bytes | bytearray | memoryview) -> str:
    # UTF-16 without its zeros is readable, so that a secret in it is seen.
    return bytes(value[: LONGEST_TEXT + 1]).decode("utf-8", "replace").replace("\0", "")


def _chain_of(error: BaseException) -> str:
    """Give the exception with its notes and its causes, the last first, as a traceback without frames has them."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < _MOST_CAUSES:
        seen.add(id(current))
        lines += (_line_of(current), *_notes_of(current))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\ncaused by ".join(lines)


def _line_of(error: BaseException) -> str:
    try:
        return f"{type(error).__qualname__}: {str(error)[:LONGEST_TEXT]}"
    except Exception:  # noqa: BLE001 - an exception may fail to describe itself
        return type(error).__qualname__


def _notes_of(error: BaseException) -> Iterable[str]:
    notes = getattr(error, "__notes__", ())
    return (str(note)[:LONGEST_TEXT] for note in islice(notes, _MOST_CAUSES))
