"""The messages of a conversation, from OpenAI's shape to that of Anthropic's Messages API."""

from collections.abc import Sequence

from adapters.providers.anthropic_parts import said_blocks
from adapters.providers.attempt import Attempt
from adapters.providers.conversation_parts import INSTRUCTIONS, parts, tool_call_id, tool_calls
from adapters.providers.reasoning_details import thinking_blocks
from adapters.providers.vendor_names import ToolIds, ToolNames
from domain.model import Json, JsonObject, Message


def read_instructions(messages: Sequence[Message], attempt: Attempt) -> list[Json]:
    """Every message of the system or the developer, in order, wherever it stands (as Anthropic's own layer for
    OpenAI's clients does): the blocks of `system`. Raises `ProviderRequestError`."""
    return [
        part
        for message in messages
        if message.role in INSTRUCTIONS
        for part in said_blocks(parts(message.content, attempt))
    ]


def read_turns(
    messages: Sequence[Message], attempt: Attempt, ids: ToolIds, names: ToolNames, *, thoughts: bool
) -> list[Json]:
    """The turns of the user and the assistant, with signed `thoughts` for models that have any. Neighbours of one role
    become one turn, the results of calls first: those of calls that were made together must stand together.

    Raises `ProviderRequestError` for what cannot be translated.
    """
    turns: list[tuple[str, list[JsonObject]]] = []
    for message in messages:
        if message.role in INSTRUCTIONS or not (blocks := _blocks(message, attempt, ids, names)):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if thoughts and role == "assistant" and message is not messages[-1]:  # the beginning of an answer has none
            blocks = [*thinking_blocks(message, attempt), *blocks]
        if not turns or role != turns[-1][0]:
            turns.append((role, []))
        turns[-1][1].extend(blocks)
    if turns and turns[-1][0] == "assistant":
        _trim(turns)
    return [{"role": role, "content": _results_first(blocks)} for role, blocks in turns]


def _trim(turns: list[tuple[str, list[JsonObject]]]) -> None:
    """Takes the white space off the end of the beginning of an answer: Anthropic refuses it there."""
    blocks = turns[-1][1]
    last = blocks[-1]
    text = last.get("text")
    if last.get("type") == "text" and isinstance(text, str):
        blocks[-1] = {**last, "text": text.rstrip()}


def _results_first(blocks: list[JsonObject]) -> list[Json]:
    """In a turn behind calls nothing may stand before their results."""
    results = [block for block in blocks if block.get("type") == "tool_result"]
    return [*results, *(block for block in blocks if block.get("type") != "tool_result")]


def _blocks(message: Message, attempt: Attempt, ids: ToolIds, names: ToolNames) -> list[JsonObject]:
    if message.role == "tool":
        return [_tool_result(message, attempt, ids)]
    blocks = said_blocks(parts(message.content, attempt))
    if message.role == "assistant":
        blocks += [
            {"type": "tool_use", "id": ids.call(call.id), "name": names.sent(call.name), "input": call.arguments}
            for call in tool_calls(message, attempt)
        ]
    return blocks


def _tool_result(message: Message, attempt: Attempt, ids: ToolIds) -> JsonObject:
    result: JsonObject = {"type": "tool_result", "tool_use_id": ids.result(tool_call_id(message, attempt))}
    content: Json = message.content
    if isinstance(content, str) and (content.strip() or not content):
        return {**result, "content": content}
    blocks: list[Json] = [*said_blocks(parts(content, attempt))]
    return {**result, "content": blocks} if blocks else result
