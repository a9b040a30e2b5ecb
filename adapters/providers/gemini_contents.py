"""The messages of a conversation, from OpenAI's shape to the contents of Gemini's API."""

import json
from collections.abc import Mapping, Sequence
from mimetypes import guess_type

from adapters.providers.attempt import Attempt
from adapters.providers.conversation_parts import (
    INSTRUCTIONS,
    ToolCall,
    data_url,
    image_address,
    nested,
    parts,
    plain_text,
    refused,
    tool_call_id,
    tool_calls,
)
from adapters.providers.vendor_names import ToolIds, ToolNames
from domain.model import Json, JsonObject, Message

ANY_SIGNATURE = "skip_thought_signature_validator"
"""What stands for the signature of a call that has none, e.g. because another model made it. Gemini 3 refuses calls
without one (ai.google.dev/gemini-api/docs/thought-signatures)."""


def read_instructions(messages: Sequence[Message], attempt: Attempt) -> list[Json]:
    """Every message of the system or the developer, in order, wherever it stands: the parts of `systemInstruction`.
    Raises `ProviderRequestError`."""
    return [
        _part(part) for message in messages if message.role in INSTRUCTIONS for part in parts(message.content, attempt)
    ]


def read_contents(messages: Sequence[Message], attempt: Attempt, sent_names: ToolNames, *, third: bool) -> list[Json]:
    """The turns of the user and the model; models from the `third` generation on want a signature on each call, and
    take media in results. Neighbours of one role become one turn, but for the media of results for older models: a
    turn must have as many results as there were calls, and nothing else, so they follow in one of their own.

    Raises `ProviderRequestError` for what cannot be translated.
    """
    contents: list[Json] = []
    ids, names = ToolIds(), dict[str, str]()
    media: list[Json] = []
    last_role, last_parts = "", list[Json]()
    for message in messages:
        if message.role in INSTRUCTIONS:
            continue
        role = "model" if message.role == "assistant" else "user"
        if message.role == "tool":
            result, shown = _function_response(message, ids, names, attempt)
            if third and shown:
                result["parts"] = shown
            else:
                media += shown
            said: list[JsonObject] = [{"functionResponse": result}]
        else:
            said = [_part(part) for part in parts(message.content, attempt)]
            if media:
                contents.append({"role": "user", "parts": media})
                last_role, media = "", []
        if message.role == "assistant":
            if said and (signature := _signature(message.extra)) is not None:
                said[-1]["thoughtSignature"] = signature
            calls = [
                call._replace(id=ids.call(call.id), name=sent_names.sent(call.name))
                for call in tool_calls(message, attempt)
            ]
            names |= {call.id: call.name for call in calls}
            said += [_function_call(call, signed=third) for call in calls]
        if said and role != last_role:
            last_role, last_parts = role, []
            contents.append({"role": role, "parts": last_parts})
        last_parts += said
    return [*contents, {"role": "user", "parts": media}] if media else contents


def _function_call(call: ToolCall, *, signed: bool) -> JsonObject:
    part: JsonObject = {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}}
    signature = _signature(call.given)
    if signature is not None or signed:
        part["thoughtSignature"] = signature or ANY_SIGNATURE
    return part


def _signature(given: Mapping[str, Json]) -> Json:
    return nested(given, "extra_content", "google", "thought_signature")


def _function_response(
    message: Message, ids: ToolIds, names: dict[str, str], attempt: Attempt
) -> tuple[JsonObject, list[Json]]:
    """The result of a call, and the media in it. Gemini wants to know the function's name, and an object."""
    call = ids.result(tool_call_id(message, attempt))
    if call not in names:
        raise refused(attempt, "A message of a tool answers a call that is not in the messages.")
    text = plain_text(message.content, attempt)
    try:
        result = json.loads(text)
    except (ValueError, RecursionError):
        result = text
    response = result if isinstance(result, dict) else {"result": result}
    media: list[Json] = [_part(part) for part in parts(message.content, attempt) if part.get("type") != "text"]
    return {"id": call, "name": names[call], "response": response}, media


def _part(part: JsonObject) -> JsonObject:
    """One part. What is not one of OpenAI's goes as it is: it may be one of Gemini's."""
    match part.get("type"):
        case "text":
            return {"text": part.get("text")}
        case "refusal":
            return {"text": part.get("refusal")}
        case "image_url":
            return _media(image_address(part))
        case "file" if data_url(nested(part, "file", "file_data")):
            return _media(nested(part, "file", "file_data"))
        case "input_audio":
            kind = f"audio/{nested(part, 'input_audio', 'format')}"
            return {"inlineData": {"mimeType": kind, "data": nested(part, "input_audio", "data")}}
        case _:
            return part


def _media(url: Json) -> JsonObject:
    found = data_url(url)
    if found is not None:
        return {"inlineData": {"mimeType": found.media_type, "data": found.data}}
    kind = guess_type(url.partition("?")[0])[0] if isinstance(url, str) else None
    return {"fileData": {"fileUri": url, **({} if kind is None else {"mimeType": kind})}}
