"""JSON as Headgate writes it into streams: one line, without what a careless reader takes for a line end (S15)."""

import json
import re
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
# Valid inside JSON, but line ends to some readers (U+0085, U+2028, U+2029) or a mark that some eat (U+FEFF).
_UNSAFE = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf")
_ESCAPES = {
    b"\xc2\x85": rb"\u0085",
    b"\xe2\x80\xa8": rb"\u2028",
    b"\xe2\x80\xa9": rb"\u2029",
    b"\xef\xbb\xbf": rb"\ufeff",
}


def dumps(value: object) -> bytes:
    """`value` as JSON in one line. Any text passes, lone surrogates included (they become escapes)."""
    try:
        data = _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    if data.isascii():
        return data
    return _UNSAFE.sub(lambda match: _ESCAPES[match.group()], data)


def loads(data: bytes) -> Any:
    """What a provider wrote: JSON, of which msgspec alone would refuse halves of surrogate pairs."""
    try:
        return _decode(data)
    except msgspec.DecodeError:
        return json.loads(data)
