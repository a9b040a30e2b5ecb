"""Answers in Anthropic's dialect -> deltas: the events of a stream (platform.claude.com/docs/en/build-with-claude/
streaming)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from adapters.providers.anthropic_errors import stream_error
from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import ServerSentEvent
from adapters.providers.reasoning_details import ENCRYPTED, FORMAT, TEXT
from adapters.providers.request_body import encoded
from adapters.providers.streamed_answer import counted, decoded
from domain.delta import PLAIN, Delta, ToolCallDelta, Usage


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
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Piece | None = None
    delta: _Piece | None = None
    usage: _Usage | None = None
    error: Any = None


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
        self._model: str | None = None
        self._text = PLAIN
        """The shape of a text."""
        self._input = _NO_USAGE
        self._calls: dict[int, int] = {}
        self._bare: set[int] = set()  # blocks of tool calls that have no arguments yet
        self._thought: list[str] = []
        self._signature = ""
        self._details = 0

    def delta(self, event: ServerSentEvent) -> Delta | None:
        """The delta that an event is; None for a ping, the ends of blocks and kinds that came after this was written.

        Raises `ProviderResponseError` for a broken frame, and the error that an `error` event is.
        """
        said = decoded(_DECODER, event.data, self._attempt)
        match said.type:
            case "content_block_delta":
                return self._block_delta(said.index, said.delta or _NOTHING)
            case "content_block_start":
                return self._block_start(said.index, said.content_block or _NOTHING)
            case "content_block_stop":
                return self._block_stop(said.index)
            case "message_start":
                return self._message_start(said.message or _Message())
            case "message_delta":
                return self._message_delta(said.delta or _NOTHING, said.usage or _NO_USAGE)
            case "message_stop":
                self.over = True
            case "error":
                raise stream_error(self._attempt, said.error)
        return None

    def _message_start(self, message: _Message) -> Delta:
        self._model = message.model
        self._text = Delta(model=message.model).shape
        self._input = message.usage or _NO_USAGE
        return Delta(role=message.role or "assistant", model=message.model)

    def _block_start(self, index: int, block: _Piece) -> Delta | None:
        if block.type == "tool_use":
            call = self._calls[index] = len(self._calls)
            arguments = encoded(block.input).decode() if block.input else ""
            if not arguments:
                self._bare.add(index)
            return self._called(ToolCallDelta(call, block.id, block.name, arguments))
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
        reason = delta.stop_reason
        if reason is None:
            return None
        return Delta(
            finish_reason=FINISH_REASONS.get(reason, "stop"),
            usage=Usage(
                _input_tokens(usage, self._input),
                counted(usage.output_tokens or self._input.output_tokens),
                _later(usage.cache_read_input_tokens, self._input.cache_read_input_tokens),
                counted((usage.output_tokens_details or _NO_DETAILS).thinking_tokens),
            ),
            model=self._model,
        )


def _input_tokens(last: _Usage, first: _Usage) -> int:
    """Read from the cache or not: each count as the last event has it, else as the first."""
    counts = (
        (last.input_tokens, first.input_tokens),
        (last.cache_creation_input_tokens, first.cache_creation_input_tokens),
        (last.cache_read_input_tokens, first.cache_read_input_tokens),
    )
    return sum(_later(later, earlier) for later, earlier in counts)


def _later(last: int | None, first: int | None) -> int:
    return counted(first if last is None else last)
