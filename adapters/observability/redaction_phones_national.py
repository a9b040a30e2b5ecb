"""Finds telephone numbers without a country code, by the forms in which they are printed."""

import re
from collections.abc import Iterator, Sequence

# Not inside an id, an address, a float, a path or a time of day.
_BEFORE = r"(?<![\w.+\-/\#])(?<![0-9]:)"
_AFTER = r"(?!\w|[.,:\-/][0-9])"
_NATIONAL = re.compile(
    rf"""
      (?<![\w.+\-])(?<!"\ )               # after `" ` stands the status of an access log
      (?:1[ .\-]{{1,2}})?
      (?: \([2-9](?!11)[0-8][0-9]\)[ .\-]{{0,2}}[2-9](?!11)[0-9]{{2}}[ .\-]{{0,2}}
        | [2-9](?!11)[0-8][0-9][ .\-/]{{1,2}}[2-9](?!11)[0-9]{{2}}[ .\-]{{1,2}} )
      [0-9]{{4}}{_AFTER}                                     # North America
    | {_BEFORE}(?:
          8[ -]?\(?[3489][0-9]{{2}}\)?[ -][0-9]{{3}}[ -][0-9]{{2}}[ -][0-9]{{2}}   # Russia
        | 1[3-9][0-9][ -][0-9]{{4}}[ -][0-9]{{4}}            # China
        | \([1-9][0-9]\)[ ]?[2-9][0-9]{{3,4}}-[0-9]{{4}}     # Brazil
        | \(0[0-9][ ][0-9]{{1,2}}\)[ ][0-9]{{3}}[ ][0-9]{{3,4}}   # Hungary
        | \([1-9]\)[ ][0-9]{{4}}[ ][0-9]{{4}}                # Chile
        | (?:33|55|56|81|9)[ ][0-9]{{4}}[ ][0-9]{{4}}        # Mexico, Chile
        | [5-9][0-9]{{2}}(?:[ ][0-9]{{2}}){{3}}              # Spain
        | [2-9][0-9]{{2}}[ ][0-9]{{3}}[ ][0-9]{{2}}[ ][0-9]{{2}}   # Turkey, Switzerland without the zero
        | [1-9][0-9][ ][0-9]{{3}}[ ][0-9]{{2}}[ ][0-9]{{2}}  # Poland
        | (?:3[1-9]|69)[0-9][ ][0-9]{{3}}[ ][0-9]{{4}}       # Italy, Greece
        | 2[0-9][ ][0-9]{{3,4}}[ ][0-9]{{4}}                 # Greece, Portugal
        | (?<![0-9][ ])(?:                                     # plainer forms: not in a row of numbers
              [679][0-9]{{2}}[ ][0-9]{{3}}[ ][0-9]{{3}}      # Spain, Portugal, Poland, Czechia
            | [49][0-9]{{2}}[ ][0-9]{{2}}[ ][0-9]{{3}}       # Norway
            | [6-9][0-9]{{4}}[ ][0-9]{{5}}                   # India
          )(?![ ][0-9])
      ){_AFTER}
    """,
    re.VERBOSE,
)
# A zero, an area code and groups: the form of most of the world.
_WITH_ZERO = re.compile(
    rf"0(?<![\w.+\-/#]0)(?<![0-9]:0)[1-9][0-9]{{0,4}}+"
    rf"(?:\)[ ]?|[ ]?[\-/.]|[ ])[0-9]{{2,9}}+(?:[ \-.][0-9]{{2,5}}+){{0,4}}{_AFTER}"
)
_DATE = re.compile(r"[0-9]{2}([-./ ])[0-9]{2}\1(?:19|20)[0-9]{2}(?![0-9])")
_BYTE_BEFORE = re.compile(r"[0-9a-fA-F]{2}[ \-.]")
_BYTE_AFTER = re.compile(r"[ \-.][0-9a-fA-F]{2}")
_NUMBER_BEFORE = re.compile(r"[0-9][ \-]")
_MOST_DIGITS_WITH_ZERO = 13
_GROUP = re.compile(r"[0-9]++")

# A text's digits and gaps, all alike: a cheap look at it says which forms cannot be there.
_SHAPE = bytes.maketrans(b"123456789 ()./", b"000000000-----")
_DATE_SHAPE, _TIME_SHAPE = b"0000-00-00", b"00:00:00"
_IN_EVERY_SHAPE = b"00-00"
_NATIONAL_SHAPE = re.compile(
    rb"(?:000-0000(?:000)?|000-00-00|-00-00-00|000-000-000|000-00-000|00000-00000)(?![A-Za-z0-9_])"
)


def national_phones(text: str) -> Iterator[tuple[int, int]]:
    """Give the places of the numbers."""
    shape = text.encode("ascii", "replace").translate(_SHAPE).replace(b"--", b"-")
    shape = shape.replace(_DATE_SHAPE, b"").replace(_TIME_SHAPE, b"")
    if _IN_EVERY_SHAPE in shape and _NATIONAL_SHAPE.search(shape):
        yield from (match.span() for match in _NATIONAL.finditer(text))
    position = last = 0
    while match := _WITH_ZERO.search(text, position):
        length = _length_with_zero(match, last)
        position = match.start() + (length or 1)
        if length is not None:
            last = position
            yield match.start(), last


def _length_with_zero(match: re.Match[str], last: int) -> int | None:
    """Give how much of what was found is a number; None for a date, an address, a row of counts or of bytes.

    `last` is where the number before this one ended: what belongs to it is no count.
    """
    start, end = match.span()
    groups = [group.span() for group in _GROUP.finditer(match[0])]
    sizes = [after - before for before, after in groups]
    while sum(sizes) > _MOST_DIGITS_WITH_ZERO:
        sizes.pop()
    if not _is_national_shape(match[0], sizes, opened=match.string[max(0, start - 1) : start] == "("):
        return None
    if max(sizes) == 2 and (
        _BYTE_BEFORE.fullmatch(match.string, max(0, start - 3), start) or _BYTE_AFTER.match(match.string, end)
    ):
        return None
    if sizes[:2] == [4, 4] and _NUMBER_BEFORE.fullmatch(match.string, max(last, start - 2), start):
        return None  # in a row of numbers
    return groups[len(sizes) - 1][1]


def _is_national_shape(found: str, sizes: Sequence[int], *, opened: bool) -> bool:
    if sum(sizes) < (8 if opened else 9) or _DATE.match(found) is not None:
        return False
    if "." in found and (len(sizes) < 4 or sizes == [3, 3, 3, 3]):  # a float, a version, an address
        return False
    return sizes != [5, 4] and (max(sizes) > 2 or len(sizes) == 5)  # not a ZIP code, not a row of two-digit counts
