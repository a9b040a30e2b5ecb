"""Finds e-mail addresses in a text: it starts from each `@`, so a long run of letters costs nothing."""

import re

# Letters of any script, and whatever else does not end a word: scripts have marks that `\w` leaves out.
_END_OF_WORD = r"\s\x00-\x1f\"<>()\[\]{}|,;:@\\/`?&=#"
_EDGE = rf"[^{_END_OF_WORD}'.%!$*+~^_\-]"
_LABEL = rf"{_EDGE}(?:[^{_END_OF_WORD}'.%!$*+~^]{{0,61}}{_EDGE})?"
_TOP_LEVEL = rf"(?:(?i:xn)--[A-Za-z0-9\-]{{2,59}}|[^{_END_OF_WORD}'.%!$*+~^_\-0-9]{{2,24}})"
_DOMAIN = re.compile(rf"@(?:(?:{_LABEL}\.){{1,8}}{_TOP_LEVEL}(?![A-Za-z0-9])|\[[0-9A-Fa-f.:IPv]{{7,45}}\])")
# A package and its version (npm, GitHub actions, pip), or an image for a dense screen: icon@2x.png.
_VERSION = re.compile(r"@(?:[vV~^]?[0-9]{1,6}\.(?:[0-9]{1,6}|x)(?![A-Za-z])|[1-4]x\.)")
# The local part is read backwards from the `@`: at most 64 characters, as the standard has it. In a forwarded
# address (VERP) another address stands before a `=`.
_LOCAL = rf"[^{_END_OF_WORD}]"
_LOCAL_BACKWARDS = re.compile(rf"{_LOCAL}{{1,64}}(?:=[^{_END_OF_WORD}+]{{1,40}}\+{_LOCAL}{{1,40}})?")
_QUOTED_BACKWARDS = re.compile(r"\"\\{0,3}[\w.+\- ]{1,64}\\{0,3}\"")
_REACH = 160
_MARKS = ".'!#$%&*+-/=^_`{|}~"


def email_spans(text: str) -> list[tuple[int, int]]:
    """Give the places of the addresses."""
    spans: list[tuple[int, int]] = []
    if "@" not in text:
        return spans
    earliest = 0
    for domain in _DOMAIN.finditer(text):
        start = _start_of_local(text, earliest, domain.start())
        if start < domain.start() and _VERSION.match(text, domain.start()) is None:
            earliest = domain.end()
            spans.append((start, earliest))
    return spans


def _start_of_local(text: str, earliest: int, at: int) -> int:
    """Give where the local part before `at` begins; `at` itself when there is none."""
    window = text[max(earliest, at - _REACH) : at]
    local = _LOCAL_BACKWARDS.match(window[::-1])
    if local is None:
        quoted = _QUOTED_BACKWARDS.match(window[::-1])
        return at if quoted is None else at - quoted.end()
    found = local[0][::-1].lstrip(_MARKS)
    return at - len(found) if any(map(str.isalnum, found)) else at
