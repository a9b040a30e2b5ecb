"""A whole message of Anthropic's, where an address ignores `stream`, as the events that say the same."""

import json
from collections.abc import Iterator
from typing import Any

from adapters.providers.anthropic_events import AnthropicEvents
from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import MESSAGE, ServerSentEvent
from adapters.providers.request_body import encoded
from domain.delta import Delta
from domain.errors import ProviderResponseError


def message_deltas(body: bytes, reader: AnthropicEvents, attempt: Attempt) -> list[Delta]:
    """Its deltas. Raises `ProviderResponseError` if it is none, and the error that it is."""
    error = reader.error(body)
    if error is not None:
        raise error
    try:
        events = list(_events(json.loads(body)))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as failure:
        raise attempt.error(ProviderResponseError, "The provider's JSON is not a message.") from failure
    said = (reader.delta(ServerSentEvent(MESSAGE, encoded(event))) for event in events)
    return [delta for delta in said if delta is not None]


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content, usage = message["content"], message.get("usage")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    head = {name: message.get(name) for name in ("role", "model", "usage")}
    yield {"type": "message_start", "message": head}
    for index, block in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": {**block}}
        if block.get("signature"):
            signature = {"type": "signature_delta", "signature": block["signature"]}
            yield {"type": "content_block_delta", "index": index, "delta": signature}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": message.get("stop_reason")}, "usage": usage}
    yield {"type": "message_stop"}
