"""Answers in Anthropic's dialect -> deltas: the events of a stream (platform.claude.com/docs/en/build-with-claude/
streaming)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import msgspec

from adapters.providers.anthropic_errors import stream_error
from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import ServerSentEvent
from adapters.providers.frame_errors import PING_WORDS
from adapters.providers.reasoning_details import ENCRYPTED, FORMAT, TEXT
from adapters.providers.request_body import encoded
from adapters.providers.streamed_answer import counted, decoded, error_told
from domain.delta import PLAIN, Delta, ToolCallDelta, Usage
from domain.errors import ProviderError


class _OutputDetails(msgspec.Struct, frozen=True, gc=False):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Message(msgspec.Struct, frozen=True, gc=False):
    role: str | None = None
    model: str | None = None
    usage: _Usage | None = None


class _Piece(msgspec.Struct, frozen=True, gc=False):
    """A content block as it starts, a delta of one, or the delta of the message."""

    type: str | None = None
    id: str | None = None
    name: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    partial_json: str | None = None
    input: Any = None
    stop_reason: str | None = None


class _Event(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None
    index: int | None = None
    message: _Message | None = None
    content_block: _Piece | None = None
    delta: _Piece | None = None
    usage: _Usage | None = None
    error: Any = None


NONE: Mapping[str, str] = MappingProxyType({})
_DECODER = msgspec.json.Decoder(_Event)
_NOTHING = _Piece()
_NO_USAGE = _Usage()
_NO_DETAILS = _OutputDetails()

FINISH_REASONS: Mapping[str, str] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Anthropic's reason for stopping -> OpenAI's; every other (`end_turn`, `stop_sequence`, `pause_turn`) is `stop`."""


class AnthropicEvents:
    """Reads the events of one answer. It keeps the model, the input's tokens, which block is which tool call, and the
    thoughts until they are signed: whoever sends them back must send all of a block in one."""

    def __init__(self, attempt: Attempt) -> None:
        self.over = False
        self._attempt = attempt
        self._ids = self._names = NONE
        self._model: str | None = None
        self._text = PLAIN
        """The shape of a text."""
        self._usage = _NO_USAGE
        self._finished = False
        self._calls: dict[int, int] = {}
        self._made = 0  # so many calls: some addresses say the same index for each block
        self._bare: set[int] = set()  # blocks of tool calls that have no arguments yet
        self._thought: list[str] = []
        self._signature = ""
        self._details = 0

    def take_back(self, ids: Mapping[str, str], names: Mapping[str, str]) -> None:
        """The callers' ids of calls, and names of tools, by those that they went out as."""
        self._ids, self._names = ids, names

    def delta(self, event: ServerSentEvent) -> Delta | None:
        """The delta that an event is; None for a ping, the ends of blocks and kinds that came after this was written.

        Raises `ProviderResponseError` for a broken frame, and the error that an `error` event is.
        """
        if event.event in PING_WORDS:
            return None
        if event.event == "error":
            raise self.error(event.data) or stream_error(self._attempt, None)
        said = decoded(_DECODER, event.data, self._attempt, stream_error)
        if said is None:
            return None
        index = said.index or 0
        match said.type:
            case "content_block_delta":
                return self._block_delta(index, said.delta or _NOTHING)
            case "content_block_start":
                return self._block_start(index, said.content_block or _NOTHING)
            case "content_block_stop":
                return self._block_stop(index)
            case "message_start":
                return self._message_start(said.message or _Message())
            case "message_delta":
                return self._message_delta(said.delta or _NOTHING, said.usage or _NO_USAGE)
            case "message_stop":
                self.over = True
            case "error":
                raise self.error(event.data) or stream_error(self._attempt, None)
            case None if (error := self.error(event.data)) is not None:
                raise error
        return None

    def last(self) -> Sequence[Delta]:
        """Nothing: an answer's end has its reason."""
        return ()

    def error(self, body: bytes) -> ProviderError | None:
        """The error that JSON is, whatever its form; None if it is none."""
        return error_told(body, self._attempt, stream_error)

    def _message_start(self, message: _Message) -> Delta:
        self._model = message.model
        self._text = Delta(model=message.model).shape
        self._usage = message.usage or _NO_USAGE
        return Delta(role=message.role or "assistant", model=message.model)

    def _block_start(self, index: int, block: _Piece) -> Delta | None:
        if block.type == "tool_use":
            call = self._calls[index] = self._made
            self._made += 1
            given = block.input
            arguments = given if isinstance(given, str) else encoded(given).decode() if given else ""
            if not arguments:
                self._bare.add(index)
            identity = self._ids.get(block.id or "", block.id) or f"call_{uuid4().hex}"
            return self._called(ToolCallDelta(call, identity, self._names.get(block.name or "", block.name), arguments))
        if block.type == "thinking":
            self._thought = []
        elif block.type == "redacted_thinking" and block.data:
            return self._detail({"type": ENCRYPTED, "data": block.data})
        return self._block_delta(index, block)

    def _block_delta(self, index: int, piece: _Piece) -> Delta | None:
        """Arguments of tools that Anthropic runs itself and citations are nobody's business here."""
        if piece.text:
            return Delta.shaped(piece.text, self._text)
        if piece.thinking:
            self._thought.append(piece.thinking)
            return Delta(reasoning=piece.thinking, model=self._model)
        if piece.signature:
            self._signature = piece.signature
        if piece.partial_json and index in self._calls:
            self._bare.discard(index)
            return self._called(ToolCallDelta(self._calls[index], arguments=piece.partial_json))
        return None

    def _block_stop(self, index: int) -> Delta | None:
        """A call without arguments has an empty object for them, which OpenAI's clients want to see."""
        if self._signature:
            signed = {"type": TEXT, "text": "".join(self._thought), "signature": self._signature}
            self._thought, self._signature = [], ""
            return self._detail(signed)
        if index not in self._bare:
            return None
        self._bare.discard(index)
        return self._called(ToolCallDelta(self._calls[index], arguments="{}"))

    def _called(self, call: ToolCallDelta) -> Delta:
        return Delta(tool_calls=(call,), model=self._model)

    def _detail(self, detail: Mapping[str, object]) -> Delta:
        """One of `reasoning_details`."""
        number, self._details = self._details, self._details + 1
        extra = encoded({"reasoning_details": [{**detail, "format": FORMAT, "index": number}]})
        return Delta(extra=extra, model=self._model)

    def _message_delta(self, delta: _Piece, usage: _Usage) -> Delta | None:
        self._usage = _larger(self._usage, usage)
        if delta.stop_reason is None:
            return Delta(usage=_counted(self._usage), model=self._model) if self._finished else None
        self._finished = True
        reason = FINISH_REASONS.get(delta.stop_reason, "stop")
        return Delta(finish_reason=reason, usage=_counted(self._usage), model=self._model)


def _larger(known: _Usage, told: _Usage) -> _Usage:
    """The larger of each count: they are cumulative, and some addresses end with zeros."""
    thinking = [(usage.output_tokens_details or _NO_DETAILS).thinking_tokens for usage in (known, told)]
    return _Usage(
        _most(known.input_tokens, told.input_tokens),
        _most(known.cache_creation_input_tokens, told.cache_creation_input_tokens),
        _most(known.cache_read_input_tokens, told.cache_read_input_tokens),
        _most(known.output_tokens, told.output_tokens),
        _OutputDetails(_most(*thinking)),
    )


def _most(*counts: int | None) -> int | None:
    return max((count for count in counts if count is not None), default=None)


def _counted(usage: _Usage) -> Usage | None:
    """The prompt's tokens are those that were read from the cache, those that were written to it, and all others. None
    where nothing was counted."""
    prompt = (usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens)
    if all(count is None for count in (*prompt, usage.output_tokens)):
        return None
    return Usage(
        sum(map(counted, prompt)),
        counted(usage.output_tokens),
        counted(usage.cache_read_input_tokens),
        counted((usage.output_tokens_details or _NO_DETAILS).thinking_tokens),
    )
