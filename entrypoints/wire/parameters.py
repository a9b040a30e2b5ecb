"""What a request's parameters may be: types, ranges and bounds, checked by a table (BAD_INPUT 8, 10, 11, 16, 18)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from domain.errors import (
    ForbiddenParameterError,
    InvalidTypeError,
    MissingParameterError,
    NumberOutOfRangeError,
    RequestValidationError,
    TooManyItemsError,
)
from domain.model import Message

MAX_MESSAGES = 1000
MAX_TOOLS = 128
MAX_MODEL_LENGTH = 256
LIST_BOUNDS: Mapping[str, int] = {"messages": MAX_MESSAGES, "tools": MAX_TOOLS, "functions": MAX_TOOLS}
"""The most items of each list at the top level of a body."""
# By these a caller would choose where the request goes, or with whose key (P3).
FORBIDDEN = frozenset(
    {
        "api_base",
        "base_url",
        "api_key",
        "api_version",
        "organization",
        "callback_url",
        "webhook_url",
        "proxy",
        "proxies",
    }
)


class Number(NamedTuple):
    """A number within bounds; `whole` refuses fractions."""

    low: float
    high: float
    whole: bool = False


class Items(NamedTuple):
    """A list of at most so many items."""

    most: int


class Kinds(NamedTuple):
    """A value of one of these types."""

    kinds: tuple[type, ...]


Rule = Number | Items | Kinds

RULES: Mapping[str, Rule] = {
    "max_tokens": Number(1, 2**31 - 1, whole=True),
    "max_completion_tokens": Number(1, 2**31 - 1, whole=True),
    "n": Number(1, 128, whole=True),
    "seed": Number(-(2**63), 2**63 - 1, whole=True),
    "top_logprobs": Number(0, 20, whole=True),
    "temperature": Number(0, 2),
    "top_p": Number(0, 1),
    "presence_penalty": Number(-2, 2),
    "frequency_penalty": Number(-2, 2),
    "tools": Items(MAX_TOOLS),
    "functions": Items(MAX_TOOLS),
    "stop": Kinds((str, list)),
    "tool_choice": Kinds((str, dict)),
    "response_format": Kinds((dict,)),
    "metadata": Kinds((dict,)),
    "logit_bias": Kinds((dict,)),
    "stream": Kinds((bool,)),
    "stream_options": Kinds((dict,)),
    "logprobs": Kinds((bool,)),
    "parallel_tool_calls": Kinds((bool,)),
    "user": Kinds((str,)),
}

_NAMES = {str: "a string", bool: "a boolean", dict: "an object", list: "a list", int: "an integer", float: "a number"}


def check_parameters(body: Mapping[str, Any]) -> None:
    """Checks every known parameter but `model` and `messages`. null counts as absent."""
    for name, value in body.items():
        if name in FORBIDDEN:
            raise ForbiddenParameterError.at(name, "This parameter may not be set by callers.")
        rule = RULES.get(name)
        if rule is not None and value is not None:
            _check(name, value, rule)


def _check(name: str, value: object, rule: Rule) -> None:
    if isinstance(rule, Number):
        _check_number(name, value, rule)
    elif isinstance(rule, Items):
        if not isinstance(value, list):
            raise _wrong_type(name, list)
        if len(value) > rule.most:
            raise TooManyItemsError.at(name, f"At most {rule.most} items are allowed.")
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise _wrong_type(f"{name}.{index}", dict)
    elif not isinstance(value, rule.kinds):
        raise _wrong_type(name, *rule.kinds)


def _check_number(name: str, value: object, rule: Number) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(name, int if rule.whole else float)
    if rule.whole and not (isinstance(value, int) or value.is_integer()):
        raise _wrong_type(name, int)
    if not rule.low <= value <= rule.high:
        raise NumberOutOfRangeError.at(name, f"Must be from {rule.low:g} to {rule.high:g}.")


def _wrong_type(param: str, *kinds: type) -> RequestValidationError:
    return InvalidTypeError.at(param, f"Must be {' or '.join(_NAMES[kind] for kind in kinds)}.")


def read_model(body: Mapping[str, Any]) -> str:
    """The required `model`."""
    model = body.get("model")
    if model is None:
        raise MissingParameterError.at("model", "`model` is required.")
    if not isinstance(model, str):
        raise _wrong_type("model", str)
    if not 0 < len(model) <= MAX_MODEL_LENGTH:
        raise RequestValidationError.at("model", f"Must be 1 to {MAX_MODEL_LENGTH} characters.")
    return model


def read_messages(body: Mapping[str, Any]) -> Sequence[Message]:
    """The required `messages`, with all that the sender put into each."""
    messages = body.get("messages")
    if messages is None:
        raise MissingParameterError.at("messages", "`messages` is required.")
    if not isinstance(messages, list):
        raise _wrong_type("messages", list)
    if not messages:
        raise RequestValidationError.at("messages", "At least one message is needed.")
    if len(messages) > MAX_MESSAGES:
        raise TooManyItemsError.at("messages", f"At most {MAX_MESSAGES} messages are allowed.")
    return [_read_message(index, message) for index, message in enumerate(messages)]


def _read_message(index: int, message: object) -> Message:
    if not isinstance(message, dict):
        raise _wrong_type(f"messages.{index}", dict)
    role = message.get("role")
    if role is None:
        raise MissingParameterError.at(f"messages.{index}.role", "`role` is required.")
    if not isinstance(role, str):
        raise _wrong_type(f"messages.{index}.role", str)
    content = message.get("content")
    if not (content is None or isinstance(content, str | list)):
        raise _wrong_type(f"messages.{index}.content", str, list)
    if isinstance(content, list):
        for part, item in enumerate(content):
            if not isinstance(item, dict):
                raise _wrong_type(f"messages.{index}.content.{part}", dict)
    extra = {name: value for name, value in message.items() if name not in {"role", "content"}}
    return Message(role, content, extra)
