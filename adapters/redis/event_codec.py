"""Events as MessagePack: how a stream's log and the cache hold them.

A delta is an array of its text and its shape's fields, or a text alone if its shape is that of the delta before it;
everything else is a map with its type in it. MessagePack's texts are UTF-8, and a provider may send half of a surrogate
pair: rows with one go as `_Loose`, their texts spelled in Latin-1.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from domain.delta import Dialect, Shape, ToolCallDelta, Usage
from domain.events import Events, Kind, columns
from domain.model import Cancelled, Complete, Event, Failed, Status, StatusState, Terminal


class UnreadableEventsError(Exception):
    """Bytes that are no events of this version."""


class _DeltaRow(NamedTuple):
    text: str
    head: bytes
    tail: bytes | None
    dialect: Dialect
    choice: int
    role: str | None
    reasoning: str
    tool_calls: tuple[ToolCallDelta, ...]
    finish_reason: str | None
    usage: Usage | None
    model: str | None
    plain: bool


class _StatusRow(msgspec.Struct, tag="status", frozen=True):
    state: StatusState
    position: int | None
    estimated_wait: float | None = None


class _CompleteRow(msgspec.Struct, tag="complete", frozen=True):
    finish_reason: str
    usage: Usage | None
    model: str
    target: str


class _FailedRow(msgspec.Struct, tag="failed", frozen=True):
    code: str
    message: str
    retryable: bool
    retry_after: float | None
    param: str | None


class _CancelledRow(msgspec.Struct, tag="cancelled", frozen=True):
    reason: str


class _Loose(msgspec.Struct, tag="loose", frozen=True):
    row: Any


_StrictRow: TypeAlias = str | _DeltaRow | _StatusRow | _CompleteRow | _FailedRow | _CancelledRow
_Row: TypeAlias = _StrictRow | _Loose

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[list[_Row]] = msgspec.msgpack.Decoder(list[_Row])


def encode_events(events: Sequence[Event]) -> bytes:
    """The events in one piece."""
    rows: list[Any] = []
    last: Shape | None = None
    given = columns(events)
    for text, kind in zip(given.texts, given.kinds, strict=True):
        if kind is last:
            rows.append(text)
        elif isinstance(kind, Shape):
            rows.append((text, *kind))
            last = kind
        else:
            rows.append(_row(kind))
            last = None
    try:
        return _ENCODER.encode(rows)
    except UnicodeEncodeError:
        return _ENCODER.encode([_loose(row) for row in rows])


def decode_events(data: bytes | memoryview, known: Shape | None = None) -> Events[Event]:
    """The events in these bytes. Where they have the `known` shape, they share it with the events that it is from.
    Raises `UnreadableEventsError`.
    """
    texts: list[str] = []
    kinds: list[Kind] = []
    shape: Shape | None = None
    try:
        for row in _DECODER.decode(data):
            strict = _strict(row) if isinstance(row, _Loose) else row
            if isinstance(strict, str):  # what most of an answer is
                if shape is None:
                    raise UnreadableEventsError("a text without a shape")
                texts.append(strict)
                kinds.append(shape)
            elif isinstance(strict, _DeltaRow):
                shape = Shape(*strict[1:])
                if known is not None and shape == known:
                    shape = known
                texts.append(strict.text)
                kinds.append(shape)
            else:
                texts.append("")
                kinds.append(_event(strict))
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UnreadableEventsError(type(error).__name__) from None  # its text may quote the answer
    return Events(texts, kinds)


def _row(event: Status | Terminal) -> Any:
    match event:
        case Status(state, position, estimated_wait):
            return _StatusRow(state, position, estimated_wait)
        case Complete(finish_reason, usage, model, target):
            return _CompleteRow(finish_reason, usage, model, target)
        case Failed(code, message, retryable, retry_after, param):
            return _FailedRow(code, message, retryable, retry_after, param)
        case Cancelled(reason):
            return _CancelledRow(reason)


def _event(row: _StatusRow | _CompleteRow | _FailedRow | _CancelledRow) -> Status | Terminal:
    match row:
        case _StatusRow(state, position, estimated_wait):
            return Status(state, position, estimated_wait)
        case _CompleteRow(finish_reason, usage, model, target):
            return Complete(finish_reason, usage, model, target)
        case _FailedRow(code, message, retryable, retry_after, param):
            return Failed(code, message, retryable, retry_after, param)
        case _CancelledRow(reason):
            return Cancelled(reason)


def _loose(row: Any) -> _Loose:
    return _Loose(_respelled(msgspec.to_builtins(row, builtin_types=(bytes,)), _to_latin))


def _strict(row: _Loose) -> _StrictRow:
    strict: _StrictRow = msgspec.convert(_respelled(row.row, _to_text), _StrictRow, builtin_types=(bytes,))
    return strict


def _to_latin(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _to_text(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "surrogatepass")


def _respelled(value: Any, respell: Callable[[str], str]) -> Any:
    """The value with all texts in it, names of fields included, spelled otherwise."""
    if isinstance(value, str):
        return respell(value)
    if isinstance(value, dict):
        return {respell(name): _respelled(item, respell) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_respelled(item, respell) for item in value]
    return value
