"""Finds telephone numbers with a country code, by that country's numbering plan."""

import re
from collections.abc import Iterator

from adapters.observability.phone_plans import NATIONAL_LENGTHS

# What stands between the groups of a number.
GAP = r"[ \u00a0\u202f().\-/\u2010\u2011\u2013]"
_NUMBER = rf"{GAP}{{0,2}}(?P<number>[1-9](?:{GAP}{{0,4}}[0-9]){{5,20}})(?![0-9])"
# Each pattern begins with a fixed text, for which a search is fast; what may not stand before it comes second.
# `+` after a digit is a sum. 00 and 011 need a gap after the country code, or they are padded counts.
_INTERNATIONAL = tuple(
    (prefix, re.compile(rf"{start}{_NUMBER}"))
    for prefix, start in (
        ("+", r"\+(?<![0-9]\+)"),
        ("\uff0b", r"\uff0b"),
        ("00", rf"00(?<![\w.+\-]00)(?={GAP}?[1-9][0-9]{{0,2}}{GAP})"),
        ("011", rf"011(?<![\w.+\-]011)(?={GAP}[1-9])"),
    )
)
_NANP = re.compile(r"[2-9](?!11)[0-8][0-9][2-9](?!11)[0-9]{6}")
_GROUP = re.compile(r"[0-9]++")
_LONGEST_CODE = 3


def international_phones(text: str) -> Iterator[tuple[int, int]]:
    """Give the places of the numbers."""
    for prefix, pattern in _INTERNATIONAL:
        if prefix not in text:
            continue
        position = 0
        while match := pattern.search(text, position):
            length = _length_by_plan(match["number"])
            if length is None:
                position = match.start() + 1
                continue
            position = match.start("number") + length
            yield match.start(), position


def _length_by_plan(number: str) -> int | None:
    """Give how much of the text is a number of its country's plan; trailing groups may belong to the sentence."""
    groups = [group.span() for group in _GROUP.finditer(number)]
    first = number[: groups[0][1]]
    code = next((first[:size] for size in range(1, _LONGEST_CODE + 1) if first[:size] in NATIONAL_LENGTHS), None)
    if code is None:
        return None
    longest: int | None = None
    digits = ""
    for start, end in groups:
        digits += number[start:end]
        if _is_of_plan(code, digits[len(code) :]):
            longest = end
            if start == 0:  # written without gaps: what follows is not of the number
                break
    return longest


def _is_of_plan(code: str, national: str) -> bool:
    if code == "1":
        return _NANP.fullmatch(national) is not None
    shortest, longest = NATIONAL_LENGTHS[code]
    size = len(national)
    # Many write the zero of the national form, in parentheses or not: +44 (0)20.
    return shortest <= size <= longest or (national[:1] == "0" and shortest < size <= longest + 1)
