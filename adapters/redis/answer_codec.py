"""Answers as bytes, for a cache that other versions of Headgate, and others, write to as well.

One byte of version, one that says whether the rest is compressed (zlib), then MessagePack. Texts are bytes in it: UTF-8
with surrogates, since a provider may send half of a pair.
"""

import zlib
from typing import Annotated, TypeAlias

import msgspec

from domain.model import Answer, Complete, Delta, Dialect, ToolCallDelta, Usage

VERSION = 1
HEADER_BYTES = 2
COMPRESS_ABOVE = 1 << 10
"""Bytes; below, compression saves less than it costs."""
_PLAIN, _ZLIB = 0, 1

_Text: TypeAlias = bytes
_UsageRow: TypeAlias = tuple[int, int]
_CallRow: TypeAlias = tuple[int, _Text | None, _Text | None, _Text]


class _DeltaRow(msgspec.Struct, array_like=True, tag=0, frozen=True):
    text: _Text
    raw: bytes
    dialect: Dialect
    choice: int
    role: _Text | None
    reasoning: _Text
    tool_calls: tuple[_CallRow, ...]
    finish_reason: _Text | None
    usage: _UsageRow | None
    model: _Text | None


class _CompleteRow(msgspec.Struct, array_like=True, tag=1, frozen=True):
    finish_reason: _Text
    usage: _UsageRow | None
    model: _Text
    target: _Text


class _AnswerRow(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, msgspec.Meta(ge=0)]
    events: tuple[_DeltaRow | _CompleteRow, ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_AnswerRow)


class UnreadableEntryError(Exception):
    """Bytes that are no answer of this version: corrupt, foreign, written by another version, or too large."""


def encode(answer: Answer, max_bytes: int) -> bytes | None:
    """The answer as bytes, None if they are more than `max_bytes` before compression; HEADER_BYTES come on top."""
    rows = tuple(_delta_row(event) if isinstance(event, Delta) else _complete_row(event) for event in answer.events)
    body = _ENCODER.encode(_AnswerRow(answer.size, rows))
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
    body = memoryview(entry)[HEADER_BYTES:]
    try:
        row = _DECODER.decode(_unpacked(body, max_bytes) if entry[1] == _ZLIB else body)
        return Answer(tuple(_event(event) for event in row.events), row.size)
    except (msgspec.MsgspecError, UnicodeDecodeError, zlib.error) as error:
        raise UnreadableEntryError(f"corrupt: {type(error).__name__}") from None  # its text may quote the answer


def _unpacked(body: memoryview, max_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    unpacked = stream.decompress(body, max_bytes)
    if not stream.eof or stream.unused_data:
        raise UnreadableEntryError("cut short, followed by something, or too large")
    return unpacked


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _bytes_or_none(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _text_or_none(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "surrogatepass")


def _usage_row(usage: Usage | None) -> _UsageRow | None:
    return None if usage is None else (usage.prompt_tokens, usage.completion_tokens)


def _usage(row: _UsageRow | None) -> Usage | None:
    return None if row is None else Usage(*row)


def _delta_row(delta: Delta) -> _DeltaRow:
    return _DeltaRow(
        _bytes(delta.text),
        delta.raw,
        delta.dialect,
        delta.choice,
        _bytes_or_none(delta.role),
        _bytes(delta.reasoning),
        tuple(
            (call.index, _bytes_or_none(call.id), _bytes_or_none(call.name), _bytes(call.arguments))
            for call in delta.tool_calls
        ),
        _bytes_or_none(delta.finish_reason),
        _usage_row(delta.usage),
        _bytes_or_none(delta.model),
    )


def _complete_row(complete: Complete) -> _CompleteRow:
    return _CompleteRow(
        _bytes(complete.finish_reason), _usage_row(complete.usage), _bytes(complete.model), _bytes(complete.target)
    )


def _event(row: _DeltaRow | _CompleteRow) -> Delta | Complete:
    if isinstance(row, _CompleteRow):
        return Complete(_text(row.finish_reason), _usage(row.usage), _text(row.model), _text(row.target))
    return Delta(
        _text(row.text),
        row.raw,
        row.dialect,
        row.choice,
        _text_or_none(row.role),
        _text(row.reasoning),
        tuple(
            ToolCallDelta(index, _text_or_none(id_), _text_or_none(name), _text(arguments))
            for index, id_, name, arguments in row.tool_calls
        ),
        _text_or_none(row.finish_reason),
        _usage(row.usage),
        _text_or_none(row.model),
    )
