"""OpenAI's dialect, streamed: a chat completion request from bytes, events to chunks, errors to its error object."""

from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

from domain.delta import PLAIN, Dialect, Shape, ToolCallDelta, Usage
from domain.errors import InvalidTypeError
from domain.events import Answer, Events, Kind, columns
from domain.model import Batch, Cancelled, Complete, CompletionRequest, Event, Failed, Json, JsonObject, StreamInfo
from entrypoints.wire import json_text
from entrypoints.wire.event_run import Run, escaped, find_run, write_run
from entrypoints.wire.large_event import MARK, PIECE_BYTES, marked, pieces, slices
from entrypoints.wire.parameters import check_parameters, read_messages, read_model
from entrypoints.wire.provider_members import told_members
from entrypoints.wire.written_answers import WrittenAnswers

# Everything else in the body goes into `options`: known or not, it reaches the provider.
_ENVELOPE = frozenset({"model", "messages", "stream", "stream_options"})
INVALID_REQUEST = "invalid_request_error"
"""OpenAI's `type` of an error that the caller can mend."""


class ChatCall(NamedTuple):
    """A decoded request, and how its answer is to be written."""

    request: CompletionRequest
    stream: bool
    include_usage: bool


def decode_chat(fields: dict[str, Any], size: int) -> ChatCall:
    """The call in a body of `POST /v1/chat/completions` that had `size` bytes. Raises a `RequestValidationError`."""
    check_parameters(fields)
    stream_options = fields.get("stream_options") or {}
    include_usage = stream_options.get("include_usage")
    if not (include_usage is None or isinstance(include_usage, bool)):
        raise InvalidTypeError.at("stream_options.include_usage", "Must be a boolean.")
    options = {name: value for name, value in fields.items() if name not in _ENVELOPE}
    request = CompletionRequest(read_model(fields), read_messages(fields), options, size)
    return ChatCall(request, fields.get("stream") is True, include_usage is True)


class OpenAIEncoder:
    """Events as chat completion chunks. What it writes depends on the event and the stream alone, never on what it
    wrote before: a reader that resumes gets the bytes that it would have got (S3)."""

    media_type = "text/event-stream; charset=utf-8"

    def __init__(self, info: StreamInfo, *, include_usage: bool, written: WrittenAnswers | None = None) -> None:
        self._info = info
        self._epoch = info.epoch.encode("ascii")
        self._include_usage = include_usage
        self._written = written
        self._forwarded: Shape | None = None
        self._ends = b"", b""
        """What a provider of this dialect has around a text, and the shape that says so: the last one's."""
        self._framed = PLAIN
        self._around: tuple[bytes, bytes] | None = None

    def encode(self, batch: Batch) -> bytes:
        """The batch as SSE; empty if there is nothing in it for this client. The path of each event."""
        first, given = batch
        if type(given) is Answer and self._written is not None:
            return self._replayed(given, self._written)
        events = given if type(given) is Events else columns(given)
        kinds = events.kinds
        if len(kinds) == 1:
            shape = kinds[0]
            if shape is self._forwarded:  # what is written most
                head, tail = self._ends
                return b"id: %b-%d\ndata: %b%b%b\n\n" % (self._epoch, first, head, events.texts[0].encode(), tail)
            return self._block(first, events.texts[0], shape)
        run = find_run(kinds)
        if run is not None:
            texts = run.texts(events)
            if run.shape.dialect is Dialect.OPENAI and run.shape.tail is not None:
                return self._run(first, events, run, texts, (run.shape.head, run.shape.tail))
            if run.shape.dialect is not Dialect.OPENAI and all(texts):
                head, tail = self._frame(run.shape)
                return self._run(first, events, run, escaped(texts), (head + b'"', b'"' + tail))
        return self._blocks(first, events)

    def _run(self, first: int, events: Events[Event], run: Run, texts: list[str], frame: tuple[bytes, bytes]) -> bytes:
        before = self._blocks(first, events[: run.begin])
        after = self._blocks(first + run.end, events[run.end :])
        head, tail = f"\ndata: {frame[0].decode()}", frame[1].decode()
        return write_run(self._info.epoch, first + run.begin, texts, head, tail, (before, after))

    def _frame(self, shape: Shape) -> tuple[bytes, bytes]:
        """What stands around a text, quotes included, in a chunk of ours of this shape. The last one is remembered."""
        if self._around is None or self._framed is not shape:
            whole = json_text.dumps(chunk(MARK, shape, self._info, include_usage=self._include_usage))
            head, _, tail = whole.rpartition(json_text.dumps(MARK))
            self._framed, self._around = shape, (head, tail)
        return self._around

    def _blocks(self, first: int, events: Events[Event]) -> bytes:
        return b"".join(map(self._block, count(first), events.texts, events.kinds))

    def _replayed(self, answer: Answer, written: WrittenAnswers) -> bytes:
        """A whole answer from the cache. In what a provider of this dialect wrote, only the epoch is the stream's."""
        pieces = written.get(answer, include_usage=self._include_usage)
        if pieces is None:
            events: Events[Event] = Events(answer.texts, answer.kinds)
            known, answer.replayed = answer.replayed, True
            if not known or any(type(kind) is Shape and kind.dialect is not Dialect.OPENAI for kind in answer.kinds):
                return self.encode(Batch(0, events))
            marked = OpenAIEncoder(self._info._replace(epoch=MARK), include_usage=self._include_usage)
            pieces = marked.encode(Batch(0, events)).split(MARK.encode())
            written.put(answer, pieces, include_usage=self._include_usage)
        return self._epoch.join(pieces)

    def _block(self, seq: int, text: str, kind: Kind) -> bytes:
        if not isinstance(kind, Shape):
            data = self._other(kind)
        elif kind.dialect is Dialect.OPENAI and kind.tail is not None:
            self._forwarded, self._ends = kind, (kind.head, kind.tail)
            data = b"%b%b%b" % (kind.head, text.encode(), kind.tail)
        elif text and kind.dialect is not Dialect.OPENAI:
            head, tail = self._frame(kind)
            data = b"%b%b%b" % (head, json_text.dumps(text), tail)
        elif kind.usage is not None and self._hides(text, kind):
            data = None
        elif kind.dialect is Dialect.OPENAI:
            data = kind.head
        else:
            data = json_text.dumps(chunk(text, kind, self._info, include_usage=self._include_usage))
        return b"" if data is None else b"id: %b-%d\ndata: %b\n\n" % (self._epoch, seq, data)

    def pieces(self, seq: int, text: str, kind: Kind) -> Iterator[bytes]:
        """One event as `encode` has it, piece by piece."""
        if not isinstance(kind, Shape) or (kind.tail is None and kind.usage is not None and self._hides(text, kind)):
            yield self._block(seq, text, kind)
            return
        yield b"id: %b-%d\ndata: " % (self._epoch, seq)
        if kind.dialect is not Dialect.OPENAI:
            mark = MARK if text else ""
            around = json_text.dumps(chunk(mark, marked(kind), self._info, include_usage=self._include_usage))
            yield from pieces(around, text, kind)
        else:
            yield from slices(kind.head)
            if kind.tail is not None:
                for start in range(0, len(text), PIECE_BYTES):
                    yield text[start : start + PIECE_BYTES].encode()
                yield from slices(kind.tail)
        yield b"\n\n"

    def _other(self, event: Kind) -> bytes | None:
        if isinstance(event, Complete):
            return b"[DONE]"
        if isinstance(event, Failed):
            return json_text.dumps(failure_object(event))
        if isinstance(event, Cancelled):
            return json_text.dumps(error_object("cancelled", f"The stream was cancelled: {event.reason}.", None))
        return None

    def _hides(self, text: str, shape: Shape) -> bool:
        """A chunk with usage alone has no choices: a client that did not ask for it may stumble over that."""
        said = text or shape.role is not None or shape.reasoning or shape.tool_calls or shape.extra
        if self._include_usage or said or shape.finish_reason is not None:
            return False
        return shape.dialect is not Dialect.OPENAI or not json_text.loads(shape.head).get("choices")

    def lost(self, failure: Failed) -> bytes:
        """The end of a stream whose rest is gone."""
        return b"data: %b\n\n" % json_text.dumps(failure_object(failure))

    def farewell(self, retry_ms: int) -> bytes:
        """The last words of a server that goes away. An error, since this dialect's clients take silence for success;
        without an id, so that the last one still says where to go on."""
        error = error_object("server_draining", "This replica is shutting down; resume the stream elsewhere.", None)
        return b"retry: %d\ndata: %b\n\n" % (retry_ms, json_text.dumps(error))

    # Without a blank line: with one, the official client would take the block for an event and fail on it.
    heartbeat = b": ping\n"
    not_resumable = b": resumable=false\n"


def error_object(code: str | None, message: str, param: str | None, kind: str = "api_error") -> dict[str, JsonObject]:
    """OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def failure_object(failure: Failed, kind: str = "api_error") -> dict[str, JsonObject]:
    """The error object of a failure: as the provider has it, where that speaks of the request (R9), else in our words
    and with our code."""
    told = failure.told
    if told is None or told.message is None:
        return error_object(failure.code, failure.message, failure.param, kind)
    whole = error_object(told.code, told.message, told.param, told.type or INVALID_REQUEST)
    return {"error": {**whole["error"], **told_members(told)}}


def chunk(text: str, shape: Shape, info: StreamInfo, *, include_usage: bool) -> JsonObject:
    """A chat completion chunk for a delta of another dialect, from its fields."""
    delta: JsonObject = {}
    if shape.role is not None:
        delta["role"] = shape.role
    if text or shape.role is not None:
        delta["content"] = text
    if shape.reasoning:
        delta["reasoning_content"] = shape.reasoning
    if shape.tool_calls:
        delta["tool_calls"] = [_tool_call(call) for call in shape.tool_calls]
    if shape.extra:
        delta |= json_text.loads(shape.extra)
    choice: JsonObject = {"index": shape.choice, "delta": delta, "finish_reason": shape.finish_reason}
    empty = not delta and shape.finish_reason is None
    whole: JsonObject = {
        "id": f"chatcmpl-{info.stream_id}",
        "object": "chat.completion.chunk",
        "created": info.created,
        "model": shape.model or info.model,
        "choices": [] if empty and shape.usage is not None else [choice],
    }
    if include_usage:
        whole["usage"] = None if shape.usage is None else usage_object(shape.usage)
    return whole


def usage_object(usage: Usage) -> Json:
    """OpenAI's usage object; details where there is something to tell."""
    whole: JsonObject = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.cached_tokens > 0:
        whole["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens > 0:
        whole["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return whole


def _tool_call(piece: ToolCallDelta) -> Json:
    function: JsonObject = {"arguments": piece.arguments}
    if piece.name is not None:
        function["name"] = piece.name
    call: JsonObject = {"index": piece.index, "function": function}
    if piece.id is not None:
        call |= {"id": piece.id, "type": "function"}
    if piece.extra:
        call |= json_text.loads(piece.extra)
    return call


def model_object(name: str, provider: str | None, created: int) -> JsonObject:
    """One model of `GET /v1/models`; that of a route is ours."""
    return {"id": name, "object": "model", "created": created, "owned_by": provider or "headgate"}
