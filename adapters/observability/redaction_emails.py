"""Finds e-mail addresses in a text: it starts from each `@`, so a long run of letters costs nothing."""

import re

EMAIL = "[REDACTED:email]"

# Letters of any script, and whatever else does not end a word: scripts have marks that `\w` leaves out. JSON may
# write them as \u043f.
_END_OF_WORD = r"\s\x00-\x1f\"<>()\[\]{}|,;:@\\/`?&=#"
_ESCAPED = r"\\u[0-9a-fA-F]{4}"
_EDGE = rf"(?:{_ESCAPED}|[^{_END_OF_WORD}'.%!$*+~^_\-])"
_LABEL = rf"{_EDGE}(?:(?:{_ESCAPED}|[^{_END_OF_WORD}'.%!$*+~^]){{0,61}}{_EDGE})?"
_TOP_LEVEL = rf"(?:xn--[A-Za-z0-9\-]{{2,59}}|(?:{_ESCAPED}|[^{_END_OF_WORD}'.%!$*+~^_\-0-9]){{2,24}})"
_DOMAIN = re.compile(rf"(?:@|%40)(?:(?:{_LABEL}\.){{1,8}}{_TOP_LEVEL}(?![A-Za-z0-9])|\[[0-9A-Fa-f.:IPv]{{7,45}}\])")
# A package and its version (npm, GitHub actions, pip), or an image for a dense screen: icon@2x.png.
_VERSION = re.compile(r"(?:@|%40)(?:[vV~^]?[0-9]{1,6}\.(?:[0-9]{1,6}|x)(?![A-Za-z])|[1-4]x\.)")
# The local part is read backwards from the `@`: at most 64 characters, as the standard has it. In a forwarded
# address (SRS, VERP) another address stands before a `=`.
_LOCAL = rf"(?:[0-9a-fA-F]{{4}}u\\|[^{_END_OF_WORD}])"
_LOCAL_BACKWARDS = re.compile(rf"{_LOCAL}{{1,64}}(?:={_LOCAL}{{1,40}}[+=]{_LOCAL}{{1,40}})?")
_QUOTED_BACKWARDS = re.compile(r"\"\\{0,3}[\w.+\- ]{1,64}\\{0,3}\"(?!:)")
_REACH = 400  # 64 characters, each written as an escape
_MARKS = ".'!#$%&*+-/=^_`{|}~"


def redact_emails(text: str) -> str:
    """Replace each e-mail address."""
    if "@" not in text and "%40" not in text:
        return text
    pieces: list[str] = []
    kept = 0
    for domain in _DOMAIN.finditer(text):
        start = _start_of_local(text, kept, domain.start())
        if start == domain.start() or _VERSION.match(text, domain.start()):
            continue
        pieces += (text[kept:start], EMAIL)
        kept = domain.end()
    return "".join((*pieces, text[kept:])) if pieces else text


def _start_of_local(text: str, earliest: int, at: int) -> int:
    """Give where the local part before `at` begins; `at` itself when there is none."""
    window = text[max(earliest, at - _REACH) : at]
    local = _LOCAL_BACKWARDS.match(window[::-1])
    if local is None:
        quoted = _QUOTED_BACKWARDS.match(window[::-1])
        return at if quoted is None else at - quoted.end()
    found = local[0][::-1].lstrip(_MARKS)
    return at - len(found) if any(map(str.isalnum, found)) else at
