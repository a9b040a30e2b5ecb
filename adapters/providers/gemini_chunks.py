"""Answers of Gemini's API -> deltas: the responses that a stream is made of (ai.google.dev/api/generate-content)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import msgspec

from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import ServerSentEvent
from adapters.providers.frame_errors import PING_WORDS
from adapters.providers.gemini_errors import stream_error
from adapters.providers.gemini_parts import extra_of, fenced, joined_extra, read_media
from adapters.providers.request_body import encoded
from adapters.providers.streamed_answer import counted, decoded, error_told, larger
from domain.delta import Delta, ToolCallDelta, Usage
from domain.errors import ProviderError, ProviderResponseError


class _FunctionCall(msgspec.Struct, frozen=True, gc=False):
    name: str
    id: str | None = None
    args: Any = None


class _Part(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _FunctionCall | None = None
    inline_data: Any = None
    file_data: Any = None
    executable_code: Any = None
    code_execution_result: Any = None


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


NAMES: Mapping[str, str] = MappingProxyType({})
_DECODER = msgspec.json.Decoder(_Chunk)
_SILENT = _Candidate()

FINISH_REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length", "1": "stop", "2": "length"}
"""Gemini's reason for stopping, or its number -> OpenAI's; every other that is no fault is a filter's:
`content_filter`."""
FAULTS = frozenset(
    {
        "5",
        "10",
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

    It keeps how many calls and images there were, the usage, the last signature that belongs to no call, which comes
    with the end as clients join what comes in pieces, and whether the answer has begun and ended. An end before the
    first word is kept back: some answers have one and go on.
    """

    over = False

    def __init__(self, attempt: Attempt, most_calls: int | None = None) -> None:
        self._attempt = attempt
        self._most_calls = most_calls
        self._names = NAMES
        self._begun = self._spoken = False
        self._ended_early = False
        self._media = 0
        self._finished = False
        self._calls = 0
        self._model: str | None = None
        self._usage: Usage | None = None
        self._counted = False
        self._signature: str | None = None

    def take_back(self, names: Mapping[str, str]) -> None:
        """The callers' names of functions by those that they went out as."""
        self._names = names

    def delta(self, event: ServerSentEvent) -> Delta | None:
        """The delta that a response is, None if it says nothing. Of several candidates it is the first's.

        Raises `ProviderResponseError` for a broken frame or a faulty answer, and the error that one in any form is.
        """
        if event.event in PING_WORDS:
            return None
        if event.event == "error":
            raise self.error(event.data) or stream_error(self._attempt, None)
        chunk = decoded(_DECODER, event.data, self._attempt, stream_error)
        if chunk is None:
            return None
        if chunk.error or not (chunk.candidates or chunk.prompt_feedback or chunk.usage_metadata):
            error = self.error(event.data)
            if error is not None:
                raise error
        self._model = chunk.model_version or self._model
        if chunk.usage_metadata is not None:
            self._usage = larger(self._usage, _usage(chunk.usage_metadata))
        candidate = chunk.candidates[0] if chunk.candidates else _SILENT
        parts = (candidate.content and candidate.content.parts) or []
        delta = self._said(parts)
        if self._finished:
            return self._late(delta)
        for part in parts:
            if part.thought_signature and part.function_call is None:
                self._signature = part.thought_signature
        blocked = chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason
        reason = self._finish_reason("SAFETY" if blocked else candidate.finish_reason)
        self._begun = True
        self._spoken = self._spoken or bool(delta.text.strip() or delta.tool_calls or delta.shape.beyond)
        if reason == "stop" and not self._spoken:
            self._ended_early = True
        elif reason is not None:
            return self._finish(delta, reason)
        return delta if any((delta.text, delta.reasoning, delta.tool_calls, delta.role, delta.extra)) else None

    def last(self) -> Sequence[Delta]:
        """At the end of the body: the end that came before the first word, if no other came after it."""
        if self._finished or not self._ended_early:
            return ()
        return (self._finish(Delta(model=self._model), "tool_calls" if self._calls else "stop"),)

    def error(self, body: bytes) -> ProviderError | None:
        """The error that JSON is, whatever its form; None if it is none."""
        return error_told(body, self._attempt, stream_error)

    def _said(self, parts: list[_Part]) -> Delta:
        """What the parts say. What a model tries in between, its thoughts, has no pictures."""
        shown = [part for part in parts if not part.thought]
        media = [one for part in shown if (one := read_media(part.inline_data, part.file_data)) is not None]
        extra = extra_of(media, self._media)
        self._media += len(media)
        return Delta(
            "".join(part.text or fenced(part.executable_code, part.code_execution_result) for part in shown),
            reasoning="".join(part.text for part in parts if part.text and part.thought),
            tool_calls=self._new_calls(parts),
            role=None if self._begun else "assistant",
            model=self._model,
            extra=extra,
        )

    def _finish(self, delta: Delta, reason: str) -> Delta:
        self._finished, self._counted = True, self._usage is not None
        extra = joined_extra(delta.extra, _signed(self._signature))
        return delta.but(finish_reason=reason, usage=self._usage, extra=extra)

    def _late(self, delta: Delta) -> Delta | None:
        """What comes after the end: words that are kept, and the usage."""
        usage = self._late_usage()
        if not (delta.text or delta.tool_calls or delta.extra):
            return usage
        return delta if usage is None else delta.but(usage=usage.usage)

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
        arguments = call.args if isinstance(call.args, str) else encoded(call.args).decode()
        name = self._names.get(call.name or "", call.name)
        given = arguments if call.args else "{}"
        return ToolCallDelta(index, call.id or f"call_{uuid4().hex}", name, given, _signed(part.thought_signature))

    def _finish_reason(self, reason: str | None) -> str | None:
        if reason in (None, "", "0", "FINISH_REASON_UNSPECIFIED"):
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
