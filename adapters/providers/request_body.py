"""The body of a request to a provider, as JSON. A large one is written in steps, and others have their turn in between
(G6)."""

import asyncio
import json
from collections.abc import Iterator, Mapping

import msgspec

AT_ONCE_BYTES = 1 << 20
PIECE = 64 << 10
"""Characters of a text that are written at once."""
STEP_BYTES = 256 << 10
VALUE = 128
"""So many bytes a value counts as, beside its own: a small one takes as long."""

_encode = msgspec.json.Encoder().encode


async def encode_body(body: Mapping[str, object], size: int) -> bytes:
    """The body; `size` is about how many bytes that will be. Half of a surrogate pair goes as the escape that it came
    as."""
    if size <= AT_ONCE_BYTES:
        return encoded(body)
    pieces, step = [], 0
    for piece in _pieces(body):
        pieces.append(piece)
        step += len(piece) + VALUE
        if step > STEP_BYTES:
            step = 0
            await asyncio.sleep(0)
    return b"".join(pieces)


def encoded(value: object) -> bytes:
    """A value as JSON, at once; half of a surrogate pair as in `encode_body`."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode() if isinstance(value, str) else b"".join(_pieces(value))


def _pieces(value: object) -> Iterator[bytes]:
    if isinstance(value, str) and len(value) > PIECE:
        yield b'"'
        for start in range(0, len(value), PIECE):
            yield encoded(value[start : start + PIECE])[1:-1]
        yield b'"'
    elif isinstance(value, Mapping) and value:
        before = b"{"
        for name, child in value.items():
            yield before
            yield from _pieces(name)
            yield b":"
            yield from _pieces(child)
            before = b","
        yield b"}"
    elif isinstance(value, list) and value:
        before = b"["
        for child in value:
            yield before
            yield from _pieces(child)
            before = b","
        yield b"]"
    else:
        yield encoded(value)
