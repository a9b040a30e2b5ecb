"""Finds telephone numbers in a text: with a country code, in a national form, or after a word that says so."""

import re
from collections.abc import Iterator

from adapters.observability.redaction_phones_international import GAP, international_phones
from adapters.observability.redaction_phones_national import national_phones

# The digits of a moment do not count.
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_MOMENT = b"0000-00-00T00:00:00"
_BETWEEN = b" ()./-?"  # a gap that is not ASCII comes as `?`
_FEWEST_DIGITS = b"0" * 7
# After a word that says so, any form is a number.
_LABELS = (
    "phone", "tel", "mobile", "cell", "fax", "whatsapp", "sms", "msisdn", "call ", "ring ", "text ", "reach ", "dial ",
)  # fmt: skip
_LABELLED = re.compile(
    r"(?i:(?<![a-z])(?:(?:tele|mobile[ _-]?)?phone|tel|mobile|cell|fax|whatsapp|sms|msisdn)(?:[ _-]?(?:number|no|nr))?"
    r"|\b(?:call|ring|text|reach|phone|dial)[ ](?:me|us|him|her|them)(?:[ ](?:on|at))?)"
    r"(?:\\{0,3}[\"'])?(?:[ ]?[:=.]{1,2}|[ ])[ ]{0,2}(?:\\{0,3}[\"'])?"
    rf"(?P<number>\(?[0-9](?:{GAP}{{0,3}}[0-9]){{6,14}})(?![0-9])"
)


def may_hold_phone(text: str) -> bool:
    """Say whether seven digits are near each other: a cheap look, after which most lines are done."""
    shape = text.encode("ascii", "replace").translate(_DIGITS).replace(_MOMENT, b"T")
    return _FEWEST_DIGITS in shape.translate(None, _BETWEEN)


def phone_spans(text: str) -> list[tuple[int, int]]:
    """Give the places of the numbers."""
    return [
        _with_parenthesis(text, start, end)
        for find in (international_phones, _labelled_phones, national_phones)
        for start, end in find(text)
    ]


def _labelled_phones(text: str) -> Iterator[tuple[int, int]]:
    lowered = text.lower()
    for label in _LABELS:
        if label in lowered:
            yield from (match.span("number") for match in _LABELLED.finditer(text))
            break


def _with_parenthesis(text: str, start: int, end: int) -> tuple[int, int]:
    """Take in a parenthesis that opens before the plus or the zero and closes within the number."""
    closes = text.count(")", start, end) > text.count("(", start, end)
    return (start - 1, end) if closes and text[start - 1 : start] == "(" else (start, end)
