"""Events as MessagePack: how a stream's log and the cache hold them.

A delta is an array of its text and its shape's fields, or a text alone if its shape is that of the delta before it;
everything else is a map with its type in it. MessagePack's texts are UTF-8, and a provider may send half of a surrogate
pair: rows with one go as `_Loose`, their texts spelled in Latin-1.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from domain.delta import Delta, Dialect, Shape, ToolCallDelta, Usage
from domain.model import Cancelled, Complete, Event, Failed, Status, StatusState


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

_new_delta = tuple.__new__
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[list[_Row]] = msgspec.msgpack.Decoder(list[_Row])


def encode_events(events: Sequence[Event]) -> bytes:
    """The events in one piece."""
    rows: list[Any] = []
    last: Shape | None = None
    for event in events:
        if type(event) is Delta and event.shape is last:
            rows.append(event.text)
            continue
        rows.append(_row(event))
        last = event.shape if type(event) is Delta else None
    try:
        return _ENCODER.encode(rows)
    except UnicodeEncodeError:
        return _ENCODER.encode([_loose(row) for row in rows])


def decode_events(data: bytes | memoryview, known: Shape | None = None) -> list[Event]:
    """The events in these bytes. Where they have the `known` shape, they share it with the events that it is from.
    Raises `UnreadableEventsError`.
    """
    events: list[Event] = []
    shape: Shape | None = None
    try:
        for row in _DECODER.decode(data):
            if type(row) is str and shape is not None:  # what most of an answer is
                events.append(_new_delta(Delta, (row, shape)))
                continue
            strict = _strict(row) if isinstance(row, _Loose) else row
            if isinstance(strict, _DeltaRow):
                shape = Shape(*strict[1:])
                if shape == known:
                    shape = known
                events.append(Delta.shaped(strict.text, shape))
            elif not isinstance(strict, str):
                events.append(_event(strict))
            elif shape is not None:
                events.append(Delta.shaped(strict, shape))
            else:
                raise UnreadableEventsError("a text without a shape")
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UnreadableEventsError(type(error).__name__) from None  # its text may quote the answer
    return events


def _row(event: Event) -> Any:
    match event:
        case Status(state, position, estimated_wait):
            return _StatusRow(state, position, estimated_wait)
        case Complete(finish_reason, usage, model, target):
            return _CompleteRow(finish_reason, usage, model, target)
        case Failed(code, message, retryable, retry_after, param):
            return _FailedRow(code, message, retryable, retry_after, param)
        case Cancelled(reason):
            return _CancelledRow(reason)
        case Delta(text, shape):
            return text, *shape


def _event(row: _StatusRow | _CompleteRow | _FailedRow | _CancelledRow) -> Event:
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
