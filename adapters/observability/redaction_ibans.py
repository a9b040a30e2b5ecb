"""Finds international bank account numbers in a text: a country's length and the check digits (ISO 13616)."""

import re

_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_BEGINNING = re.compile(b" aa00")
_GROUP = 4
_SEPARATORS = " -+.\u00a0\u202f\u2011"
# A letter counts as two digits, from A = 10 to Z = 35.
_VALUES = {ord(letter): str(int(letter, 36)) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def is_iban(number: str) -> bool:
    """Say whether the letters and digits, without separators and in capitals, are of a country and pass the check."""
    if _LENGTHS.get(number[:2]) != len(number) or not (number.isascii() and number.isalnum()):
        return False
    return int((number[_GROUP:] + number[:_GROUP]).translate(_VALUES)) % 97 == 1


def iban_spans(text: str, shape: bytes) -> list[tuple[int, int]]:
    """Give the places of the numbers, in one piece or in groups of four; `shape` is the text's."""
    spans: list[tuple[int, int]] = []
    for beginning in _BEGINNING.finditer(shape):
        end = _end_of_iban(text, beginning.start())
        if end is not None:
            spans.append((beginning.start(), end))
    return spans


def _end_of_iban(text: str, start: int) -> int | None:
    length = _LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return None
    separator = text[start + _GROUP : start + _GROUP + 1]
    if separator not in _SEPARATORS:
        end = start + length
        return end if _ends_word(text, end) and is_iban(text[start:end].upper()) else None
    # In groups of four, or the rest behind the check digits in one piece.
    for gaps in ((length - 1) // _GROUP, 1):
        end = start + length + gaps
        printed = text[start:end]
        if _ends_word(text, end) and printed.count(separator) == gaps and _is_iban_in_groups(printed, separator, gaps):
            return end
    return None


def _ends_word(text: str, end: int) -> bool:
    following = text[end : end + 1]
    return not (following.isascii() and following.isalnum())


def _is_iban_in_groups(printed: str, separator: str, gaps: int) -> bool:
    return printed[_GROUP :: _GROUP + 1][:gaps] == separator * gaps and is_iban(printed.replace(separator, "").upper())
