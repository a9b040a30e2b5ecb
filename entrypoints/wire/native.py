"""Headgate's own dialect: a request from bytes, events to named SSE events, errors to problem details (RFC 9457)."""

from collections.abc import Iterator
from itertools import count

from domain.delta import MORE, Shape, ToolCallDelta
from domain.errors import (
    MissingParameterError,
    RequestValidationError,
    UnknownParameterError,
)
from domain.events import Events, Kind, columns
from domain.model import (
    Batch,
    Cancelled,
    Complete,
    CompletionRequest,
    Event,
    Failed,
    JsonObject,
    Message,
    Status,
    StreamInfo,
)
from entrypoints.wire import json_text
from entrypoints.wire.event_run import escaped, find_run, write_run
from entrypoints.wire.large_event import MARK, marked, pieces
from entrypoints.wire.parameters import RULES, check_parameters, read_messages, read_model
from entrypoints.wire.provider_members import told_members, unread_members

# `stream` makes no sense here, where everything is one; everything else that OpenAI's dialect knows is known here too.
KNOWN = (frozenset(RULES) | {"model", "messages", "prompt"}) - {"stream", "stream_options", "functions"}
_FRAME = '\nevent: delta\ndata: {"text":"', '"}'
"""What stands around a text that comes alone."""
# The id of the event that tells of a lost stream: whoever resumes after it has been told (S4, S5).
GONE_EPOCH = "gone"


def decode_stream(fields: JsonObject, default_model: str | None, size: int) -> CompletionRequest:
    """The request in the body of `POST /v1/streams`, which had `size` bytes. Raises a `RequestValidationError`."""
    check_parameters(fields)
    for name in fields:
        if name not in KNOWN:
            raise UnknownParameterError(
                "The body has a parameter that this endpoint does not know.", details=_named(name)
            )
    if fields.get("model") is None and default_model is not None:
        fields["model"] = default_model
    options = {name: value for name, value in fields.items() if name not in {"model", "messages", "prompt"}}
    return CompletionRequest(read_model(fields), _read_conversation(fields), options, size)


def _named(name: str) -> dict[str, str | int | float | bool | None]:
    shown = name if len(name) <= 64 and name.isascii() and name.isidentifier() else "?"
    return {"param": shown}


def _read_conversation(fields: JsonObject) -> list[Message]:
    prompt = fields.get("prompt")
    if prompt is None:
        if fields.get("messages") is None:
            raise MissingParameterError.at("prompt", "`prompt` or `messages` is required.")
        return list(read_messages(fields))
    if fields.get("messages") is not None:
        raise RequestValidationError.at("prompt", "`prompt` and `messages` exclude each other.")
    return list(read_messages({"messages": [{"role": "user", "content": prompt}]}))


class NativeEncoder:
    """Events as named SSE events, one for one: their ids have no gaps."""

    media_type = "text/event-stream; charset=utf-8"
    heartbeat = b": ping\n\n"
    # Without an id: it is no event of the log.
    not_resumable = b'event: status\ndata: {"resumable":false}\n\n'

    def __init__(self, info: StreamInfo) -> None:
        self._info = info
        self._epoch = info.epoch.encode("ascii")

    def encode(self, batch: Batch) -> bytes:
        """The batch as SSE."""
        first, given = batch
        events = given if type(given) is Events else columns(given)
        if len(events.kinds) == 1:  # what most batches are
            return self._block(first, events.texts[0], events.kinds[0])
        run = find_run(events.kinds)
        if run is None or not _text_alone(run.shape):
            return self._blocks(first, events)
        around = self._blocks(first, events[: run.begin]), self._blocks(first + run.end, events[run.end :])
        head, tail = _FRAME
        return write_run(self._info.epoch, first + run.begin, escaped(run.texts(events)), head, tail, around)

    def _blocks(self, first: int, events: Events[Event]) -> bytes:
        return b"".join(map(self._block, count(first), events.texts, events.kinds))

    def pieces(self, seq: int, text: str, kind: Kind) -> Iterator[bytes]:
        """One event as `encode` has it, piece by piece."""
        if not isinstance(kind, Shape):
            yield self._block(seq, text, kind)
            return
        yield b"id: %b-%d\nevent: delta\ndata: " % (self._epoch, seq)
        yield from pieces(_delta(MARK, marked(kind)), text, kind)
        yield b"\n\n"

    def _block(self, seq: int, text: str, kind: Kind) -> bytes:
        if isinstance(kind, Shape):
            name, data = b"delta", _delta(text, kind)
        elif isinstance(kind, Status):
            name, data = b"status", json_text.dumps(_status(kind))
        elif isinstance(kind, Complete):
            name, data = b"complete", json_text.dumps(_complete(kind))
        elif isinstance(kind, Failed):
            name, data = b"error", error_data(kind, self._info.thread_id)
        else:
            name, data = b"cancelled", json_text.dumps(_cancelled(kind))
        return b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (self._epoch, seq, name, data)

    def lost(self, failure: Failed) -> bytes:
        """The end of a stream whose rest is gone: a resume after it gets 204."""
        return not_resumable_block(failure)

    def farewell(self, retry_ms: int) -> bytes:
        """The last words of a server that goes away: the client comes back, elsewhere, after its own pause (S12)."""
        return retry_block(retry_ms)


def _status(event: Status) -> JsonObject:
    data: JsonObject = {"state": event.state}
    if event.position is not None:
        data["position"] = event.position
    if event.estimated_wait is not None:
        data["estimated_wait"] = event.estimated_wait
    return data


def _text_alone(shape: Shape) -> bool:
    """Whether this door shows nothing of it but the text."""
    return shape.plain and not (shape.choice or shape.extra)


def _delta(text: str, shape: Shape) -> bytes:
    if _text_alone(shape):
        return b'{"text":%b}' % json_text.dumps(text)
    data: JsonObject = {"text": text}
    if shape.choice:
        data["choice"] = shape.choice
    if shape.reasoning:
        data["reasoning"] = shape.reasoning
    if shape.tool_calls:
        data["tool_calls"] = [_tool_call(call) for call in shape.tool_calls]
    if shape.finish_reason is not None:
        data["finish_reason"] = shape.finish_reason
    if shape.extra == MORE:
        data |= unread_members(shape)
    elif shape.extra:
        data |= json_text.loads(shape.extra)
    return json_text.dumps(data)


def _tool_call(piece: ToolCallDelta) -> JsonObject:
    call: JsonObject = {"index": piece.index, "id": piece.id, "name": piece.name, "arguments": piece.arguments}
    return call | json_text.loads(piece.extra) if piece.extra else call


def _complete(event: Complete) -> JsonObject:
    data: JsonObject = {"finish_reason": event.finish_reason, "model": event.model, "target": event.target}
    if event.usage is not None:
        data["usage"] = {
            "prompt_tokens": event.usage.prompt_tokens,
            "completion_tokens": event.usage.completion_tokens,
        }
    return data


def _cancelled(event: Cancelled) -> JsonObject:
    return {"reason": event.reason}


def error_data(event: Failed, thread_id: str | None) -> bytes:
    """The data of an `error` event."""
    data: JsonObject = {"code": event.code, "message": said(event), "retryable": event.retryable}
    if event.retry_after is not None:
        data["retry_after"] = event.retry_after
    if thread_id is not None:
        data["thread_id"] = thread_id
    return json_text.dumps(data | provider_members(event))


def said(event: Failed) -> str:
    """What a failure says to people: the provider's words about the request, where it has any (R9)."""
    return event.message if event.told is None or event.told.message is None else event.told.message


def provider_members(event: Failed) -> JsonObject:
    """What else the provider says about the request, each beside our own `code`: which parameter, its type and its
    code."""
    told = event.told
    if told is None:
        return {}
    words = {"param": told.param, "provider_type": told.type, "provider_code": told.code}
    return {name: word for name, word in words.items() if word is not None} | told_members(told)


def reset_block() -> bytes:
    """Tells a reader that its position means nothing here and that all follows from the beginning (S5)."""
    return b'event: reset\ndata: {"reason":"unknown_position"}\n\n'


def retry_block(retry_ms: int) -> bytes:
    """Tells an `EventSource` to come back later (S9)."""
    return b"retry: %d\n\n" % retry_ms


def not_resumable_block(event: Failed) -> bytes:
    """The whole answer about a stream whose log is gone: a terminal event with an id of its own (S5)."""
    return b"id: %b-0\nevent: error\ndata: %b\n\n" % (GONE_EPOCH.encode("ascii"), error_data(event, None))


def problem(status: int, code: str, title: str, message: str, extra: JsonObject) -> bytes:
    """Problem details (RFC 9457); `code` is the stable name of what went wrong."""
    return json_text.dumps(
        {
            "type": f"urn:headgate:error:{code}",
            "title": title,
            "status": status,
            "detail": message,
            "code": code,
            **extra,
        }
    )
