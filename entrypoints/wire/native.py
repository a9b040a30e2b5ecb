"""Headgate's own dialect: a request from bytes, events to named SSE events, errors to problem details (RFC 9457)."""

from domain.delta import Delta
from domain.errors import MissingParameterError, RequestValidationError, UnknownParameterError
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
from entrypoints.wire.json_body import decode_object
from entrypoints.wire.parameters import RULES, check_parameters, read_messages, read_model

# `stream` makes no sense here, where everything is one; everything else that OpenAI's dialect knows is known here too.
KNOWN = (frozenset(RULES) | {"model", "messages", "prompt"}) - {"stream", "stream_options", "functions"}
# The id of the event that tells of a lost stream: whoever resumes after it has been told (S4, S5).
GONE_EPOCH = "gone"


def decode_stream(body: bytes, default_model: str | None) -> CompletionRequest:
    """The request in the body of `POST /v1/streams`. Raises a `RequestValidationError`."""
    fields = decode_object(body)
    check_parameters(fields)
    for name in fields:
        if name not in KNOWN:
            raise UnknownParameterError(
                "The body has a parameter that this endpoint does not know.", details=_named(name)
            )
    if fields.get("model") is None and default_model is not None:
        fields["model"] = default_model
    options = {name: value for name, value in fields.items() if name not in {"model", "messages", "prompt"}}
    return CompletionRequest(read_model(fields), _read_conversation(fields), options)


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
        seq, events = batch
        blocks = []
        for event in events:
            name, data = self._named_data(event)
            blocks.append(b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (self._epoch, seq, name, data))
            seq += 1
        return b"".join(blocks)

    def _named_data(self, event: Event) -> tuple[bytes, bytes]:
        if isinstance(event, Delta):
            return b"delta", json_text.dumps(_delta(event))
        if isinstance(event, Status):
            return b"status", json_text.dumps(_status(event))
        if isinstance(event, Complete):
            return b"complete", json_text.dumps(_complete(event))
        if isinstance(event, Failed):
            return b"error", error_data(event, self._info.thread_id)
        return b"cancelled", json_text.dumps(_cancelled(event))

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


def _delta(event: Delta) -> JsonObject:
    text, shape = event
    data: JsonObject = {"text": text}
    if shape.choice:
        data["choice"] = shape.choice
    if shape.reasoning:
        data["reasoning"] = shape.reasoning
    if shape.tool_calls:
        data["tool_calls"] = [
            {"index": call.index, "id": call.id, "name": call.name, "arguments": call.arguments}
            for call in shape.tool_calls
        ]
    if shape.finish_reason is not None:
        data["finish_reason"] = shape.finish_reason
    return data


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
    data: JsonObject = {"code": event.code, "message": event.message, "retryable": event.retryable}
    if event.retry_after is not None:
        data["retry_after"] = event.retry_after
    if thread_id is not None:
        data["thread_id"] = thread_id
    return json_text.dumps(data)


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
