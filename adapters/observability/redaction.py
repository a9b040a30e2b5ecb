"""Keeps e-mail addresses, keys, telephone and card numbers out of the logs: the processor before the renderer."""

from collections.abc import MutableMapping
from typing import Any

from adapters.observability.redaction_text import redact_text
from adapters.observability.redaction_walk import Walk
from adapters.observability.secret_names import kind_of_secret

_SHORT = 64
_MOST_REMEMBERED = 1_024


class Redactor:
    """Redacts texts, nested values and whole log events. It never raises; what cannot be read is named by its type."""

    __slots__ = ("_clean", "_kinds")

    def __init__(self) -> None:
        # Most fields of most lines repeat. Only texts that had nothing to hide are remembered.
        self._clean: set[str] = set()
        self._kinds: dict[str, str | None] = {}

    def __call__(
        self, _logger: object, _method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Redact an event's names and values: a structlog processor."""
        return Walk(self.text, self._kind).event(event_dict)

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
