"""Redacts one text, in time that grows with its length and into a result of bounded length."""

from adapters.observability.redaction_cards import redact_cards
from adapters.observability.redaction_emails import redact_emails
from adapters.observability.redaction_keys import redact_known_keys
from adapters.observability.redaction_labels import redact_labelled
from adapters.observability.redaction_phones import redact_phones

LONGEST_TEXT = 16_384
CUT = "…[TRUNCATED]"
# A secret across the cut leaves its beginning, too short to be known, at the very end: shorter than this.
_UNCERTAIN_END = 640
_PASSES = 4


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
        redacted = redact_phones(redact_cards(redact_emails(redact_known_keys(redact_labelled(text)))))
        if redacted == text:
            break
        text = redacted
    return text
