"""What a provider says that no field of ours holds, for the doors that show it."""

from domain.delta import Dialect, Shape
from domain.errors import UpstreamErrorBody
from domain.model import JsonObject
from entrypoints.wire import json_text

READ = frozenset({"role", "content", "reasoning_content", "reasoning", "tool_calls"})
"""Members of a delta that fields of ours hold."""


def unread_members(shape: Shape) -> JsonObject:
    """Of a provider's own delta: images, a refusal, annotations."""
    if shape.dialect is not Dialect.OPENAI or shape.tail is not None:
        return {}
    choices = json_text.loads(shape.head).get("choices")
    delta: JsonObject = (choices[0].get("delta") if choices else None) or {}
    return {name: value for name, value in delta.items() if value and name not in READ}


def told_members(told: UpstreamErrorBody) -> JsonObject:
    """Of a provider's error: `innererror`, `metadata`."""
    members: JsonObject = json_text.loads(told.extra) if told.extra else {}
    return members
