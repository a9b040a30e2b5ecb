"""What a conversation in OpenAI's shape is made of, for the dialects that have to be translated into."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import msgspec

from adapters.providers.attempt import Attempt
from domain.errors import ProviderRequestError
from domain.model import CompletionRequest, Json, JsonObject, Message

INSTRUCTIONS = frozenset({"system", "developer"})
"""The roles of messages that are not turns of the conversation."""
NO_ARGUMENTS = frozenset({"", "null"})
"""What some models write for a call without arguments."""

_check_json = msgspec.json.Decoder(msgspec.Raw).decode
_OBJECT = re.compile(r"[ \t\n\r]*\{")
_DATA_URL = re.compile(r"data:([a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,80})(?:;[a-z0-9=._-]{1,80}){0,4};base64,", re.IGNORECASE)
_MEDIA_TYPES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
"""What browsers and libraries write for types that vendors know by another name."""


class ToolCall(NamedTuple):
    """A call that an earlier answer made; `given` is all that the message says of it."""

    id: str
    name: str
    arguments: JsonObject
    """As JSON, to be encoded and for nothing else."""
    given: Mapping[str, Json]


class DataUrl(NamedTuple):
    """The content of a `data:` address, in base64."""

    media_type: str
    data: str


def parts(content: Json, attempt: Attempt) -> list[JsonObject]:
    """A message's content as a list of parts; a text without a word is left out, for nobody takes one.

    Raises `ProviderRequestError` if it is neither text nor parts.
    """
    match content:
        case None:
            return []
        case str():
            return [{"type": "text", "text": content}] if content else []
        case list() if all(isinstance(part, dict) for part in content):
            given = cast("list[JsonObject]", content)
            return [part for part in given if part.get("type") != "text" or part.get("text")]
        case _:
            raise refused(attempt, "The content of a message is neither text nor a list of parts.")


def plain_text(content: Json, attempt: Attempt) -> str:
    """All text of a content, in one. Raises as `parts` does."""
    return "".join(str(part["text"]) for part in parts(content, attempt) if part.get("type") == "text")


def tool_calls(message: Message, attempt: Attempt) -> list[ToolCall]:
    """The calls in a message of the assistant. Raises `ProviderRequestError` for one that is none."""
    calls = cast("list[Any]", message.extra.get("tool_calls") or [])
    try:
        return [
            ToolCall(str(call["id"]), str(call["function"]["name"]), _arguments(call["function"]), call)
            for call in calls
        ]
    except (KeyError, TypeError, ValueError, RecursionError, msgspec.DecodeError) as error:
        raise refused(attempt, "A tool call in the messages has no id, no name, or no object for arguments.") from error


def tool_call_id(message: Message, attempt: Attempt) -> str:
    """Which call a message of the tool answers. Raises `ProviderRequestError` if it does not say."""
    given = message.extra.get("tool_call_id")
    if not isinstance(given, str):
        raise refused(attempt, "A message of a tool has no tool_call_id.")
    return given


def data_url(url: Json) -> DataUrl | None:
    """What a `data:` address in base64 holds, or None for any other address."""
    match = _DATA_URL.match(url) if isinstance(url, str) else None
    if match is None:
        return None
    kind = match[1].lower()
    return DataUrl(_MEDIA_TYPES.get(kind, kind), cast("str", url)[match.end() :].strip())


def image_address(part: Mapping[str, Json]) -> Json:
    """The address in an `image_url` part, which may stand there without an object around it."""
    given = part.get("image_url")
    return given if isinstance(given, str) else nested(part, "image_url", "url")


def nested(part: Mapping[str, Json], *path: str) -> Json:
    """The value at a path of keys, or None."""
    value: Json = part.get(path[0])
    for key in path[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def check_answerable(request: CompletionRequest, attempt: Attempt) -> None:
    """Raises `ProviderRequestError` for what would change the form of the answer, and cannot be translated: a caller
    who is answered all the same would look for what is not there."""
    given = request.options
    if given.get("n") not in (None, 1):
        raise refused(attempt, "This provider gives one answer at a time.", "n")
    if given.get("logprobs"):
        raise refused(attempt, "This provider tells no probabilities.", "logprobs")
    if given.get("modalities") not in (None, [], ["text"]):
        raise refused(attempt, "This provider answers in text.", "modalities")
    if given.get("functions") or any(
        message.role == "function" or message.extra.get("function_call") for message in request.messages
    ):
        raise refused(attempt, "This provider is given tools, not functions.", "functions")


def refused(attempt: Attempt, message: str, param: str = "messages") -> ProviderRequestError:
    """What the provider would refuse, or misunderstand, before it is asked. Parameters another provider may take."""
    code = {} if param == "messages" else {"provider_code": "unsupported_parameter"}
    return attempt.error(ProviderRequestError, message, param=param, **code)


def _arguments(function: Mapping[str, Any]) -> JsonObject:
    """A call's arguments, which are an object, or JSON in a text: checked, and passed on as it is written. There may be
    any number of values in a text, as it counts as one; none is made (G6)."""
    given = function.get("arguments")
    if isinstance(given, dict):
        return given
    if not isinstance(given, str) or given.strip() in NO_ARGUMENTS:
        return {}
    checked = _check_json(given)
    if not _OBJECT.match(given):
        raise TypeError("arguments are an object")
    return cast("JsonObject", checked)  # the encoder takes it for one
