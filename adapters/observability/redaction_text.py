"""Redacts one text, in time that grows with its length and into a result of bounded length."""

from bisect import bisect_right
from itertools import accumulate

from adapters.observability.redaction_cards import card_spans
from adapters.observability.redaction_emails import email_spans
from adapters.observability.redaction_ibans import iban_spans
from adapters.observability.redaction_keys import known_key_spans
from adapters.observability.redaction_labels import labelled_spans
from adapters.observability.redaction_national_ids import lettered_id_spans, numeric_id_spans
from adapters.observability.redaction_phones import may_hold_phone, phone_spans
from adapters.observability.redaction_shape import TWO_DIGITS, shape_of
from adapters.observability.redaction_view import View

KEY = "[REDACTED:key]"
EMAIL = "[REDACTED:email]"
CARD = "[REDACTED:card]"
PHONE = "[REDACTED:phone]"
IBAN = "[REDACTED:iban]"
NATIONAL_ID = "[REDACTED:id]"
CUT = "…[TRUNCATED]"
LONGEST_TEXT = 16_384
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
    passes = 0
    while passes < _PASSES and (spans := _spans(text)):
        text = _replaced(text, spans)
        passes += 1
    return text


def _spans(text: str) -> list[tuple[int, int, str]]:
    """Give every place to redact. All look at the same text, so that none hides a part of what another sees whole."""
    view = View(text)
    keys = sorted((*labelled_spans(text), *map(view.source, known_key_spans(view.text))))
    spans = [(start, end, KEY) for start, end in keys]
    # In https://user:password@host the password is no address: what begins within a key belongs to it.
    ends = list(accumulate((end for _, end in keys), max))
    for start, end in map(view.source, email_spans(view.text)):
        before = bisect_right(keys, (start, LONGEST_TEXT)) - 1
        if before < 0 or start >= ends[before]:
            spans.append((start, end, EMAIL))
    found = [(card_spans(view.text), CARD)]
    shape = shape_of(view.text)
    if TWO_DIGITS in shape:
        found += ((iban_spans(view.text, shape), IBAN), (lettered_id_spans(view.text, shape), NATIONAL_ID))
    if may_hold_phone(view.text):  # or another number of seven digits
        found += ((phone_spans(view.text), PHONE), (numeric_id_spans(view.text, shape), NATIONAL_ID))
    for places, marker in found:
        for span in places:
            spans.append((*view.source(span), marker))  # noqa: PERF401 - a list for each kind costs more than the looks
    return spans


def _replaced(text: str, spans: list[tuple[int, int, str]]) -> str:
    """Put a marker in each place; places that overlap become one."""
    pieces: list[str] = []
    kept = 0
    for start, end, marker in sorted(spans):
        if start >= kept:
            pieces += (text[kept:start], marker)
        kept = max(kept, end)
    return "".join((*pieces, text[kept:]))
