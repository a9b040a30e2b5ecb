"""Finds telephone numbers in a text: by numbering plan with a country code, by printed form without one."""

import re
from collections.abc import Sequence

from adapters.observability.phone_plans import NATIONAL_LENGTHS

PHONE = "[REDACTED:phone]"

# What stands between the groups of a number. A URL writes a space as `%20` and parentheses as `%28` and `%29`.
_GAP = r"(?:[ \u00a0\u202f().\-/\u2010\u2011\u2013]|%2[089])"
_NUMBER = rf"{_GAP}{{0,2}}(?P<number>[1-9](?:{_GAP}{{0,4}}[0-9]){{5,20}})(?![0-9])"
# Each pattern begins with a fixed text, for which a search is fast; what may not stand before it comes second.
# `+` after a digit is a sum. 00 and 011 need a gap after the country code, or they are padded counts.
_INTERNATIONAL = tuple(
    (prefix, re.compile(rf"{start}{_NUMBER}"))
    for prefix, start in (
        ("+", r"\+(?<![0-9]\+)"),
        ("%2", r"%2[Bb]"),
        ("\uff0b", r"\uff0b"),
        ("00", rf"00(?<![\w.+\-]00)(?={_GAP}?[1-9][0-9]{{0,2}}{_GAP})"),
        ("011", rf"011(?<![\w.+\-]011)(?={_GAP}[1-9])"),
    )
)
_NANP = re.compile(r"[2-9](?!11)[0-8][0-9][2-9](?!11)[0-9]{6}")
_GROUP = re.compile(r"[0-9]++")
_LONGEST_CODE = 3

# Not inside an id, an address, a float, a path or a time of day; a line break may be written as an escape.
_BEFORE = r"(?:(?<![\w.+\-/\#])|(?<=\\[nrt]))(?<![0-9]:)"
_AFTER = r"(?!\w|[.,:\-/][0-9])"
_NATIONAL = re.compile(
    rf"""
      (?:(?<![\w.+\-])|(?<=\\[nrt]))(?<!"\ )               # after `" ` stands the status of an access log
      (?:1[ .\-]{{1,2}})?
      (?: \([2-9](?!11)[0-8][0-9]\)[ .\-]{{0,2}}[2-9](?!11)[0-9]{{2}}[ .\-]{{0,2}}
        | [2-9](?!11)[0-8][0-9][ .\-/]{{1,2}}[2-9](?!11)[0-9]{{2}}[ .\-]{{1,2}} )
      [0-9]{{4}}{_AFTER}                                     # North America
    | {_BEFORE}(?:
          8[ -]?\(?[3489][0-9]{{2}}\)?[ -][0-9]{{3}}[ -][0-9]{{2}}[ -][0-9]{{2}}   # Russia
        | 1[3-9][0-9][ -][0-9]{{4}}[ -][0-9]{{4}}            # China
        | \([1-9][0-9]\)[ ]?[2-9][0-9]{{3,4}}-[0-9]{{4}}     # Brazil
        | \(0[0-9][ ][0-9]{{1,2}}\)[ ][0-9]{{3}}[ ][0-9]{{3,4}}   # Hungary
        | [5-9][0-9]{{2}}(?:[ ][0-9]{{2}}){{3}}              # Spain
        | [2-9][0-9]{{2}}[ ][0-9]{{3}}[ ][0-9]{{2}}[ ][0-9]{{2}}   # Turkey, Switzerland without the zero
        | [1-9][0-9][ ][0-9]{{3}}[ ][0-9]{{2}}[ ][0-9]{{2}}  # Poland
        | (?:3[1-9]|69)[0-9][ ][0-9]{{3}}[ ][0-9]{{4}}       # Italy, Greece
        | 2[0-9][ ][0-9]{{3,4}}[ ][0-9]{{4}}                 # Greece, Portugal
      ){_AFTER}
    """,
    re.VERBOSE,
)
# A zero, an area code and groups: the form of most of the world.
_WITH_ZERO = re.compile(
    rf"0(?:(?<![\w.+\-/#]0)|(?<=\\[nrt]0))(?<![0-9]:0)[1-9][0-9]{{0,4}}+"
    rf"(?:\)[ ]?|[ ]?[\-/.]|[ ])[0-9]{{2,9}}+(?:[ \-.][0-9]{{2,5}}+){{0,4}}{_AFTER}"
)
_DATE = re.compile(r"[0-9]{2}([-./ ])[0-9]{2}\1(?:19|20)[0-9]{2}(?![0-9])")
_BYTE_BEFORE = re.compile(r"[0-9a-fA-F]{2}[ \-.]")
_BYTE_AFTER = re.compile(r"[ \-.][0-9a-fA-F]{2}")
_MOST_DIGITS_WITH_ZERO = 13
# After a word that says so, any form is a number.
_LABELS = (
    "phone", "tel", "mobile", "cell", "fax", "whatsapp", "sms", "msisdn", "call ", "ring ", "text ", "reach ", "dial ",
)  # fmt: skip
_LABELLED = re.compile(
    r"(?i:(?<![a-z])(?:(?:tele|mobile[ _-]?)?phone|tel|mobile|cell|fax|whatsapp|sms|msisdn)(?:[ _-]?(?:number|no|nr))?"
    r"|\b(?:call|ring|text|reach|phone|dial)[ ](?:me|us|him|her|them)(?:[ ](?:on|at))?)"
    r"(?:\\{0,3}[\"'])?(?:[ ]?[:=.]{1,2}|[ ])[ ]{0,2}(?:\\{0,3}[\"'])?"
    rf"(?P<number>\(?[0-9](?:{_GAP}{{0,3}}[0-9]){{6,14}})(?![0-9])"
)


# A text's digits and gaps, all alike: a cheap look at it says which forms cannot be there.
_SHAPE = bytes.maketrans(b"123456789 ()./?", b"000000000------")  # a gap that is not ASCII comes as `?`
_FEWEST_DIGITS = b"0" * 6
_DATE_SHAPE = b"0000-00-00"
_NATIONAL_SHAPES = (b"000-0000", b"000-00-00", b"-00-00-00")
_NATIONAL_SHAPE = re.compile(rb"(?:000-0000(?:000)?|000-00-00|-00-00-00)(?![A-Za-z0-9_])")


def redact_phones(text: str) -> str:
    """Replace each telephone number."""
    shape = text.encode("ascii", "replace").translate(_SHAPE)
    if _FEWEST_DIGITS not in shape.replace(b"-", b"") and "%2" not in text:
        return text
    for prefix, pattern in _INTERNATIONAL:
        if prefix in text:
            text = _redact_international(text, pattern)
    lowered = text.lower()
    for label in _LABELS:
        if label in lowered:
            text = _LABELLED.sub(_after_its_label, text)
            break
    shape = shape.replace(b"--", b"-").replace(_DATE_SHAPE, b"")
    for form in _NATIONAL_SHAPES:
        if form in shape and _NATIONAL_SHAPE.search(shape):
            text = _NATIONAL.sub(PHONE, text)
            break
    return _WITH_ZERO.sub(_unless_date_or_bytes, text)


def _redact_international(text: str, pattern: re.Pattern[str]) -> str:
    pieces: list[str] = []
    kept = 0
    position = 0
    while match := pattern.search(text, position):
        length = _length_by_plan(match["number"])
        if length is None:
            position = match.start() + 1
            continue
        pieces += (text[kept : match.start()], PHONE)
        kept = position = match.start("number") + length
    return "".join((*pieces, text[kept:])) if pieces else text


def _length_by_plan(number: str) -> int | None:
    """Give how much of the text is a number of its country's plan; trailing groups may belong to the sentence."""
    # The digits of `%20` are hidden, every place is kept.
    readable = number.replace("%20", "   ").replace("%28", "   ").replace("%29", "   ") if "%" in number else number
    groups = [group.span() for group in _GROUP.finditer(readable)]
    first = readable[: groups[0][1]]
    code = next((first[:size] for size in range(1, _LONGEST_CODE + 1) if first[:size] in NATIONAL_LENGTHS), None)
    if code is None:
        return None
    longest: int | None = None
    digits = ""
    for start, end in groups:
        digits += readable[start:end]
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


def _after_its_label(match: re.Match[str]) -> str:
    return match[0][: match.start("number") - match.start()] + PHONE


def _unless_date_or_bytes(match: re.Match[str]) -> str:
    found = match[0]
    groups = [group.span() for group in _GROUP.finditer(found)]
    opened = match.string[match.start() - 1 : match.start()] == "("
    sizes = [end - start for start, end in groups]
    while sum(sizes) > _MOST_DIGITS_WITH_ZERO:
        sizes.pop()
    if not _is_national_shape(found, sizes, opened=opened) or _is_among_bytes(match, sizes):
        return found
    return PHONE + found[groups[len(sizes) - 1][1] :]


def _is_national_shape(found: str, sizes: Sequence[int], *, opened: bool) -> bool:
    if sum(sizes) < (8 if opened else 9) or _DATE.match(found) is not None:
        return False
    if "." in found and (len(sizes) < 4 or sizes == [3, 3, 3, 3]):  # a float, a version, an address
        return False
    return sizes != [5, 4] and (max(sizes) > 2 or len(sizes) == 5)  # not a ZIP code, not a row of two-digit counts


def _is_among_bytes(match: re.Match[str], sizes: Sequence[int]) -> bool:
    """Say whether pairs of digits stand in a longer row of pairs, as in a dump of bytes."""
    if max(sizes) > 2:
        return False
    start, end = match.span()
    before, after = match.string[max(0, start - 3) : start], match.string[end : end + 3]
    return (
        re.search(r"[0-9a-fA-F]{2}[ \-.]$", before) is not None or re.match(r"[ \-.][0-9a-fA-F]{2}", after) is not None
    )
