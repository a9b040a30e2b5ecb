"""Answers of Gemini's API -> deltas: the responses that a stream is made of (ai.google.dev/api/generate-content)."""

from typing import Any
from uuid import uuid4

import msgspec

from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import ServerSentEvent
from adapters.providers.gemini_errors import stream_error
from adapters.providers.request_body import encoded
from adapters.providers.streamed_answer import counted, decoded
from domain.delta import Delta, ToolCallDelta, Usage
from domain.errors import ProviderResponseError


class _FunctionCall(msgspec.Struct, frozen=True, gc=False):
    name: str
    id: str | None = None
    args: Any = None


class _Part(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _FunctionCall | None = None


class _Content(msgspec.Struct, frozen=True, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _UsageMetadata(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class _PromptFeedback(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    block_reason: str | None = None


class _Chunk(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: _UsageMetadata | None = None
    model_version: str | None = None
    error: Any = None


_DECODER = msgspec.json.Decoder(_Chunk)
_SILENT = _Candidate()

FINISH_REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"}
"""Gemini's reason for stopping -> OpenAI's; every other that is no fault is a filter's: `content_filter`."""
FAULTS = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "OTHER",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
"""Reasons for stopping that leave no answer: never a success (R4)."""


class GeminiChunks:
    """Reads the responses of one answer. Nothing in them says that none follows: the end of the body does.

    It keeps how many calls there were, the usage, the last signature that belongs to no call, which comes with the end
    as clients join what comes in pieces, and whether the answer has begun and ended.
    """

    over = False

    def __init__(self, attempt: Attempt, most_calls: int | None = None) -> None:
        self._attempt = attempt
        self._most_calls = most_calls
        self._begun = False
        self._finished = False
        self._calls = 0
        self._model: str | None = None
        self._usage: Usage | None = None
        self._counted = False
        self._signature: str | None = None

    def delta(self, event: ServerSentEvent) -> Delta | None:
        """The delta that a response is, None if it says nothing. Of several candidates it is the first's.

        Raises `ProviderResponseError` for a broken frame or a faulty answer, and the error that an error object is.
        """
        chunk = decoded(_DECODER, event.data, self._attempt)
        if chunk.error:
            raise stream_error(self._attempt, chunk.error)
        self._model = chunk.model_version or self._model
        if chunk.usage_metadata is not None:
            self._usage = _usage(chunk.usage_metadata)
        if self._finished:
            return self._late_usage()
        candidate = chunk.candidates[0] if chunk.candidates else _SILENT
        parts = (candidate.content and candidate.content.parts) or []
        delta = Delta(
            "".join(part.text for part in parts if part.text and not part.thought),
            reasoning="".join(part.text for part in parts if part.text and part.thought),
            tool_calls=self._new_calls(parts),
            role=None if self._begun else "assistant",
            model=self._model,
        )
        for part in parts:
            if part.thought_signature and part.function_call is None:
                self._signature = part.thought_signature
        blocked = chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason
        reason = self._finish_reason("SAFETY" if blocked else candidate.finish_reason)
        self._begun = True
        if reason is not None:
            self._finished, self._counted = True, self._usage is not None
            extra = _signed(self._signature)
            return delta.but(finish_reason=reason, usage=self._usage, extra=extra)
        return delta if any((delta.text, delta.reasoning, delta.tool_calls, delta.role)) else None

    def _late_usage(self) -> Delta | None:
        """The counts, if they came only after the end of the answer: there is one usage."""
        if self._counted or self._usage is None:
            return None
        self._counted = True
        return Delta(usage=self._usage, model=self._model)

    def _new_calls(self, parts: list[_Part]) -> tuple[ToolCallDelta, ...]:
        """The calls, as far as so many may be made: Gemini cannot be told that, and asks again."""
        left = None if self._most_calls is None else self._most_calls - self._calls
        made = [(part, part.function_call) for part in parts if part.function_call is not None]
        return tuple(self._call(part, call) for part, call in made[:left])

    def _call(self, part: _Part, call: _FunctionCall) -> ToolCallDelta:
        """A whole call: Gemini does not send them in fragments, and often without an id."""
        index = self._calls
        self._calls += 1
        arguments = encoded(call.args).decode() if call.args else "{}"
        return ToolCallDelta(
            index, call.id or f"call_{uuid4().hex}", call.name, arguments, _signed(part.thought_signature)
        )

    def _finish_reason(self, reason: str | None) -> str | None:
        if reason is None or reason == "FINISH_REASON_UNSPECIFIED":
            return None
        if reason in FAULTS:
            raise self._attempt.error(ProviderResponseError, "The provider stopped without an answer that holds.")
        if reason == "STOP" and self._calls:
            return "tool_calls"
        return FINISH_REASONS.get(reason, "content_filter")


def _signed(signature: str | None) -> bytes:
    """Where Google's own layer for OpenAI's clients has a signature, in a call and beside a content
    (ai.google.dev/gemini-api/docs/thought-signatures)."""
    return encoded({"extra_content": {"google": {"thought_signature": signature}}}) if signature else b""


def _usage(counts: _UsageMetadata) -> Usage:
    return Usage(
        counted(counts.prompt_token_count) + counted(counts.tool_use_prompt_token_count),
        counted(counts.candidates_token_count) + counted(counts.thoughts_token_count),
        counted(counts.cached_content_token_count),
        counted(counts.thoughts_token_count),
    )
