"""Answers as bytes, for a cache that other versions of Headgate, and others, write to as well.

One byte of version, one that says whether the rest is compressed (zlib), then the answer's events.
"""

import zlib
from typing import cast

from adapters.redis.event_codec import KEPT_BYTES, UnreadableEventsError, decode_events, encode_events
from domain.delta import Delta, Shape
from domain.events import Answer, Events
from domain.model import Complete
from domain.weight import weight

VERSION = 3
HEADER_BYTES = 2
COMPRESS_ABOVE = 4 << 10
"""Bytes; below, compression saves less than it costs: a hit on 100 tokens, which are 1.5 KB, would unpack for 6 us."""
_PLAIN, _ZLIB = 0, 1


class UnreadableEntryError(Exception):
    """Bytes that are no answer of this version: corrupt, foreign, written by another version, or too large."""


def encode(answer: Answer, max_bytes: int) -> bytes | None:
    """The answer as bytes, None if they are more than `max_bytes` before compression; HEADER_BYTES come on top."""
    body = encode_events(answer)
    if len(body) > max_bytes:
        return None
    if len(body) > COMPRESS_ABOVE and len(packed := zlib.compress(body, level=1)) < len(body):
        return bytes((VERSION, _ZLIB)) + packed
    return bytes((VERSION, _PLAIN)) + body


def decode(entry: bytes, max_bytes: int) -> Answer:
    """The answer in an entry. Nothing is unpacked beyond `max_bytes`. Raises `UnreadableEntryError`."""
    if (
        not HEADER_BYTES <= len(entry) <= HEADER_BYTES + max_bytes
        or entry[0] != VERSION
        or entry[1] not in (_PLAIN, _ZLIB)
    ):
        raise UnreadableEntryError("not an entry of this version")
    try:
        body = _unpacked(entry[HEADER_BYTES:], max_bytes) if entry[1] == _ZLIB else entry[HEADER_BYTES:]
        events = decode_events(body)
    except (UnreadableEventsError, zlib.error) as error:
        raise UnreadableEntryError(f"corrupt: {type(error).__name__}") from None
    if not set(map(type, events.kinds)) <= {Shape, Complete}:
        raise UnreadableEntryError("holds what no answer holds")
    answer = Answer(cast("Events[Delta | Complete]", events), weight(events))
    if len(body) <= KEPT_BYTES:
        answer.packed = body
    return answer


def _unpacked(body: bytes, max_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    unpacked = stream.decompress(body, max_bytes)
    if not stream.eof or stream.unused_data:
        raise UnreadableEntryError("cut short, followed by something, or too large")
    return unpacked
