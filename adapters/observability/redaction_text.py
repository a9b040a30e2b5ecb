"""Redacts one text, in time that grows with its length and into a result of bounded length."""

from adapters.observability.redaction_cards import CARD, card_spans
from adapters.observability.redaction_emails import EMAIL, email_spans
from adapters.observability.redaction_keys import redact_known_keys
from adapters.observability.redaction_labels import redact_labelled
from adapters.observability.redaction_phones import PHONE, phone_spans
from adapters.observability.redaction_view import View, replaced

LONGEST_TEXT = 16_384
CUT = "…[TRUNCATED]"
# A secret across the cut leaves its beginning, too short to be known, at the very end: shorter than this.
_UNCERTAIN_END = 640
_PASSES = 4
_FINDERS = ((EMAIL, email_spans), (CARD, card_spans), (PHONE, phone_spans))


def redact_text(text: str) -> str:
    """Give the text without its secrets; one that is too long is cut, and says so."""
    if len(text) <= LONGEST_TEXT:
        redacted = _redact_until_stable(text)
        if len(redacted) <= LONGEST_TEXT:
            return redacted
    else:
        redacted = _redact_until_stable(text[:LONGEST_TEXT])
    kept = min(len(redacted), LONGEST_TEXT) - _UNCERTAIN_END
    return _redact_until_stable(redacted[:kept] + CUT)


def _redact_until_stable(text: str) -> str:
    """Redact again what was changed: with one number gone, its neighbour may stand free."""
    for _ in range(_PASSES):
        redacted = _redact_once(text)
        if redacted == text:
            break
        text = redacted
    return text


def _redact_once(text: str) -> str:
    text = redact_known_keys(redact_labelled(text))
    view = View(text)
    for marker, find in _FINDERS:
        spans = find(view.text)
        if spans:
            text = replaced(text, [view.span(start, end) for start, end in spans], marker)
            view = View(text)
    return text
