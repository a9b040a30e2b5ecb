"""Events as MessagePack: how a stream's log and the cache hold them.

Deltas of one shape in a row are one array, of their texts and the shape's fields; everything else is a map with its
type in it. MessagePack's texts are UTF-8, and a provider may send half of a surrogate pair: rows with one go as
`_Loose`, their texts spelled in Latin-1.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import msgspec

from domain.delta import PLAIN, Dialect, Shape, ToolCallDelta, Usage
from domain.errors import UpstreamErrorBody
from domain.events import Answer, Events, columns
from domain.model import Cancelled, Complete, Event, Failed, Status, StatusState, Terminal


class UnreadableEventsError(Exception):
    """Bytes that are no events of this version."""


class UnwritableEventsError(Exception):
    """Events that hold what none may, from a provider's adapter with a defect: say, a number of more than 64 bits."""


class _DeltasRow(NamedTuple):
    texts: list[str]
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
    extra: bytes = b""


class _StatusRow(msgspec.Struct, tag="status", frozen=True):
    state: StatusState
    position: int | None
    estimated_wait: float | None = None


class _CompleteRow(msgspec.Struct, tag="complete", frozen=True):
    finish_reason: str
    usage: Usage | None
    model: str
    target: str


class _ToldRow(msgspec.Struct, frozen=True, omit_defaults=True):
    status: int
    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    extra: bytes = b""


class _FailedRow(msgspec.Struct, tag="failed", frozen=True):
    code: str
    message: str
    retryable: bool
    retry_after: float | None
    param: str | None
    told: _ToldRow | None = None  # an older reader passes over it, and shows the message


class _CancelledRow(msgspec.Struct, tag="cancelled", frozen=True):
    reason: str


class _Loose(msgspec.Struct, tag="loose", frozen=True):
    row: Any


_StrictRow: TypeAlias = _DeltasRow | _StatusRow | _CompleteRow | _FailedRow | _CancelledRow
_Row: TypeAlias = _StrictRow | _Loose

_new_shape = tuple.__new__

KEPT_BYTES = 16 << 10
"""An answer that is larger is packed again each time."""
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[list[_Row]] = msgspec.msgpack.Decoder(list[_Row])


def encode_events(events: Sequence[Event]) -> bytes:
    """The events in one piece. Raises `UnwritableEventsError`."""
    if type(events) is not Answer:
        return _encode(columns(events))
    if not events.packed:
        packed = _encode(events)
        if len(packed) > KEPT_BYTES:
            return packed
        events.packed = packed
    return events.packed


def _encode(given: Events[Event] | Answer) -> bytes:
    kinds = given.kinds
    if len(kinds) == 1 and type(kinds[0]) is Shape:  # one token: what most appends are
        rows: list[Any] = [(given.texts, *kinds[0])]
    else:
        rows = _rows(given)
    try:
        return _ENCODER.encode(rows)
    except UnicodeEncodeError:
        return _ENCODER.encode([_loose(row) for row in rows])
    except (OverflowError, TypeError) as error:
        raise UnwritableEventsError(type(error).__name__) from None  # its text may quote the answer


def _rows(given: Events[Event] | Answer) -> list[Any]:
    rows: list[Any] = []
    first = 0
    for kind, same in groupby(given.kinds):
        end = first + len(list(same))
        if isinstance(kind, Shape):
            rows.append((given.texts[first:end], *kind))
        else:
            rows += [_row(kind)] * (end - first)
        first = end
    return rows


def decode_events(data: bytes | memoryview, known: Shape | None = None) -> Events[Event]:
    """The events in these bytes. Where they have the `known` shape, they share it with the events that it is from.
    Raises `UnreadableEventsError`.
    """
    events: Events[Event] = Events([], [])
    try:
        for row in _DECODER.decode(data):
            strict = _strict(row) if isinstance(row, _Loose) else row
            if isinstance(strict, _DeltasRow):
                shape = _new_shape(Shape, strict[1:])
                if known is not None and shape == known:
                    shape = known
                elif shape == PLAIN:
                    shape = PLAIN
                events.add(strict.texts, shape)
            else:
                events.texts.append("")
                events.kinds.append(_event(strict))
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UnreadableEventsError(type(error).__name__) from None  # its text may quote the answer
    return events


def _row(event: Status | Terminal) -> Any:
    match event:
        case Status(state, position, estimated_wait):
            return _StatusRow(state, position, estimated_wait)
        case Complete(finish_reason, usage, model, target):
            return _CompleteRow(finish_reason, usage, model, target)
        case Failed(code, message, retryable, retry_after, param, told):
            return _FailedRow(code, message, retryable, retry_after, param, None if told is None else _ToldRow(*told))
        case Cancelled(reason):
            return _CancelledRow(reason)


def _event(row: _StatusRow | _CompleteRow | _FailedRow | _CancelledRow) -> Status | Terminal:
    match row:
        case _StatusRow(state, position, estimated_wait):
            return Status(state, position, estimated_wait)
        case _CompleteRow(finish_reason, usage, model, target):
            return Complete(finish_reason, usage, model, target)
        case _FailedRow(code, message, retryable, retry_after, param, told):
            body = None if told is None else UpstreamErrorBody(*msgspec.structs.astuple(told))
            return Failed(code, message, retryable, retry_after, param, body)
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
