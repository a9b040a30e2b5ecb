"""The messages of a conversation, from OpenAI's shape to that of Anthropic's Messages API."""

from collections.abc import Sequence

from adapters.providers.attempt import Attempt
from adapters.providers.conversation_parts import (
    INSTRUCTIONS,
    data_url,
    nested,
    parts,
    tool_call_id,
    tool_calls,
)
from adapters.providers.reasoning_details import thinking_blocks
from domain.model import Json, JsonObject, Message


def read_instructions(messages: Sequence[Message], attempt: Attempt) -> list[Json]:
    """Every message of the system or the developer, in order, wherever it stands (as Anthropic's own layer for
    OpenAI's clients does): the blocks of `system`. Raises `ProviderRequestError`."""
    return [part for message in messages if message.role in INSTRUCTIONS for part in parts(message.content, attempt)]


def read_turns(messages: Sequence[Message], attempt: Attempt, *, thoughts: bool) -> list[Json]:
    """The turns of the user and the assistant, with signed `thoughts` for models that have any. Neighbours of one role
    become one turn: the results of calls that were made together must stand together.

    Raises `ProviderRequestError` for what cannot be translated.
    """
    turns: list[Json] = []
    last_role, last_blocks = "", list[Json]()
    for message in messages:
        if message.role in INSTRUCTIONS or not (blocks := _blocks(message, attempt)):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if thoughts and role == "assistant" and message is not messages[-1]:  # the beginning of an answer has none
            blocks = [*thinking_blocks(message, attempt), *blocks]
        if role != last_role:
            last_role, last_blocks = role, []
            turns.append({"role": role, "content": last_blocks})
        last_blocks += blocks
    return turns


def _blocks(message: Message, attempt: Attempt) -> list[JsonObject]:
    if message.role == "tool":
        return [_tool_result(message, attempt)]
    blocks = [_block(part) for part in parts(message.content, attempt)]
    if message.role == "assistant":
        blocks += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
            for call in tool_calls(message, attempt)
        ]
    return blocks


def _tool_result(message: Message, attempt: Attempt) -> JsonObject:
    content: Json = message.content
    if not isinstance(content, str):
        content = [_block(part) for part in parts(content, attempt)]
    return {"type": "tool_result", "tool_use_id": tool_call_id(message, attempt), "content": content}


def _block(part: JsonObject) -> JsonObject:
    """One block. What is not one of OpenAI's parts goes as it is: it may be one of Anthropic's."""
    match part.get("type"):
        case "image_url":
            return {"type": "image", "source": _source(nested(part, "image_url", "url"))}
        case "file" if data_url(nested(part, "file", "file_data")):
            document: JsonObject = {"type": "document", "source": _source(nested(part, "file", "file_data"))}
            name = nested(part, "file", "filename")
            return document if name is None else {**document, "title": name}
        case "refusal":
            return {"type": "text", "text": part.get("refusal")}
        case _:
            return part


def _source(url: Json) -> JsonObject:
    found = data_url(url)
    if found is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": found.media_type, "data": found.data}
