"""A whole `chat.completion`, which a provider that ignores `stream` answers, as the chunks that say the same."""

import json
from typing import Any

from adapters.providers.attempt import Attempt
from adapters.providers.openai_chunks import OpenAIChunks, chunk_event
from domain.delta import Delta
from domain.errors import ProviderResponseError


def completion_deltas(body: bytes, reader: OpenAIChunks, attempt: Attempt) -> list[Delta]:
    """Its deltas, one for each choice. Raises as `OpenAIChunks.delta` does."""
    error = reader.error(body)
    if error is not None:
        raise error
    try:
        chunks = _chunks(json.loads(body))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise attempt.error(ProviderResponseError, "The provider's JSON is not a completion.") from error
    deltas = [delta for chunk in chunks if (delta := reader.delta(chunk_event(chunk))) is not None]
    reader.over = True
    return [*deltas, *reader.last()]


def _chunks(completion: dict[str, Any]) -> list[bytes]:
    """The chunks that say the same as a completion; the usage stands in the last."""
    usage, given = completion.pop("usage", None), completion["choices"]
    *choices, last = [_streamed(choice, place) for place, choice in enumerate(given if given != {} else [])]
    chunk = {**completion, "object": "chat.completion.chunk"}
    chunks = [*({**chunk, "choices": [choice]} for choice in choices), {**chunk, "choices": [last], "usage": usage}]
    return [json.dumps(chunk, allow_nan=False, separators=(",", ":")).encode() for chunk in chunks]


def _streamed(choice: dict[str, Any], position: int) -> dict[str, Any]:
    """A choice of a completion as a chunk has it: `delta` for `message`, and tool calls that say their place."""
    message = dict(choice["message"])
    if isinstance(calls := message.get("tool_calls"), list):
        message["tool_calls"] = [{**call, "index": index} for index, call in enumerate(calls) if isinstance(call, dict)]
    rest = {name: value for name, value in choice.items() if name != "message"}
    return {"index": position, "delta": message, **rest}
