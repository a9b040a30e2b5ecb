"""JSON in one line, for streams: nothing in it that a careless reader takes for a line end (S15)."""

import re

# Valid in JSON, but line ends to some readers (U+0085, U+2028, U+2029) or a mark that some eat (U+FEFF). A line feed
# can only stand between tokens there.
_UNSAFE = re.compile(rb"\n|\xc2\x85|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf")
_SAFE = {
    b"\n": b" ",
    b"\xc2\x85": rb"\u0085",
    b"\xe2\x80\xa8": rb"\u2028",
    b"\xe2\x80\xa9": rb"\u2029",
    b"\xef\xbb\xbf": rb"\ufeff",
}


def one_line(data: bytes) -> bytes:
    """The same JSON, safe in a line. `data` is valid JSON in UTF-8 and comes back as it is where nothing is unsafe."""
    if data.isascii() and b"\n" not in data:
        return data
    return _UNSAFE.sub(lambda match: _SAFE[match[0]], data)
