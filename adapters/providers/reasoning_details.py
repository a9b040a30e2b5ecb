"""Signed thoughts of Anthropic's models in OpenAI's dialect: a list `reasoning_details` beside a message's content.

The convention is OpenRouter's (openrouter.ai/docs/use-cases/reasoning-tokens): a client sends the list back as it came.
"""

from collections.abc import Mapping

from adapters.providers.attempt import Attempt
from adapters.providers.conversation_parts import refused
from domain.model import Json, JsonObject, Message

TEXT, ENCRYPTED = "reasoning.text", "reasoning.encrypted"
FORMAT = "anthropic-claude-v1"
"""Whose thoughts these are: no other vendor can read them, nor Anthropic those of others."""


def thinking_blocks(message: Message, attempt: Attempt) -> list[JsonObject]:
    """The blocks that the list of a message stands for; thoughts that nobody signed, or another vendor, are left out.

    Raises `ProviderRequestError` if it is no list.
    """
    details = message.extra.get("reasoning_details") or []
    if not isinstance(details, list):
        raise refused(attempt, "The reasoning_details of a message are no list.")
    blocks: list[JsonObject] = []
    for detail in details:
        if not isinstance(detail, dict) or detail.get("format", FORMAT) != FORMAT:
            continue
        if detail.get("type") == TEXT and detail.get("signature"):
            thought = {"thinking": detail.get("text") or "", "signature": detail["signature"]}
            blocks.append({"type": "thinking", **thought})
        elif detail.get("type") == ENCRYPTED and detail.get("data"):
            blocks.append({"type": "redacted_thinking", "data": detail["data"]})
    return blocks


def unsigned(extra: Mapping[str, Json]) -> Mapping[str, Json]:
    """The fields of a message without what other vendors signed, here or in its calls: strict addresses refuse it."""
    details, calls = extra.get("reasoning_details"), extra.get("tool_calls")
    kept = {name: value for name, value in extra.items() if name not in {"reasoning_details", "extra_content"}}
    if isinstance(details, list) and (others := [one for one in details if not _anthropics(one)]):
        kept["reasoning_details"] = others
    if isinstance(calls, list):
        kept["tool_calls"] = [_bare(call) for call in calls]
    return kept


def _anthropics(detail: Json) -> bool:
    return isinstance(detail, dict) and detail.get("format") == FORMAT


def _bare(call: Json) -> Json:
    return {name: call[name] for name in call if name != "extra_content"} if isinstance(call, dict) else call
