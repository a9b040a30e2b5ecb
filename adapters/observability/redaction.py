"""Keeps e-mail addresses, keys, telephone and card numbers out of the logs: the processor before the renderer."""

import re
from collections.abc import MutableMapping
from typing import Any

from adapters.observability.redaction_text import redact_text
from adapters.observability.redaction_walk import MOST_ITEMS, Walk
from adapters.observability.secret_names import kind_of_secret

_SHORT = 64
_SMALL = 10**12
"""No card has fewer digits."""
_OWN_IDS = {"thread_id": re.compile("t_[0-9a-f]{24}"), "stream_id": re.compile("s_[A-Za-z0-9_-]{24}")}
"""Ids that we made, by the field's name: chance may give them digits that look like a number to hide."""
_MOST_REMEMBERED = 1_024


class Redactor:
    """Redacts texts, nested values and whole log events. It never raises; what cannot be read is named by its type."""

    __slots__ = ("_clean", "_kinds", "_plain")

    def __init__(self) -> None:
        # Most fields of most lines repeat. Only texts that had nothing to hide are remembered, and the names of fields
        # that say nothing about their values.
        self._clean: set[str] = set()
        self._kinds: dict[str, str | None] = {}
        self._plain: set[str] = set(_OWN_IDS)

    def __call__(
        self, _logger: object, _method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Redact an event's names and values: a structlog processor."""
        if len(event_dict) > MOST_ITEMS:
            return Walk(self.text, self._kind).event(event_dict)
        # Most fields are of the few names that every line has, and hold nothing, a small number or a text seen before.
        found: dict[str, Any] = {}
        plain, clean, walk = self._plain, self._clean, None
        for name, value in event_dict.items():
            if name in plain and (walk is None or name not in found):
                kind = value.__class__
                if kind is str:
                    if value in clean or (name in _OWN_IDS and _OWN_IDS[name].fullmatch(value) is not None):
                        found[name] = value
                        continue
                elif value is None or kind is float or (kind is int and -_SMALL < value < _SMALL):
                    found[name] = value
                    continue
            if walk is None:
                walk = Walk(self.text, self._kind)
            walk.field(name, value, found)
            if name in clean and self._kinds.get(name, "") is None and len(plain) < _MOST_REMEMBERED:
                plain.add(name)
        return found

    def text(self, value: str) -> str:
        """Give the text without its secrets, at most 16 KiB of it."""
        if len(value) > _SHORT:
            return redact_text(value)
        if value in self._clean:
            return value
        redacted = redact_text(value)
        if redacted == value:
            if len(self._clean) >= _MOST_REMEMBERED:
                self._clean.clear()
            self._clean.add(value)
        return redacted

    def value(self, value: object) -> object:
        """Give the value without its secrets: containers are copied, bytes become text, other objects their repr."""
        return Walk(self.text, self._kind).value(value)

    def _kind(self, name: str) -> str | None:
        if name in self._kinds:
            return self._kinds[name]
        kind = kind_of_secret(name)
        if len(name) <= _SHORT:
            if len(self._kinds) >= _MOST_REMEMBERED:
                self._kinds.clear()
            self._kinds[name] = kind
        return kind
