"""What an error's body says about the request, in whatever shape, for the caller who sent it (R9).

Masked and bounded here, once; nothing here decides what kind of error it is.
"""

import json
from collections.abc import Mapping
from typing import Any

from adapters.masking import LONGEST_FORM
from adapters.providers.attempt import Attempt
from domain.errors import UpstreamErrorBody

STATUSES = frozenset({400, 404, 413, 422})
"""Those that speak of the request; 401, 402, 403 and 5xx speak of us."""
MAX_BYTES = 16 << 10
"""Of all that is passed on."""
MAX_WORD_BYTES = 256
MAX_DEPTH = 3
MAX_READ = 64 << 10
"""Characters of a message that are looked at; the rest is cut off unread."""

Fields = Mapping[str, Any]

_MESSAGES = ("message", "msg", "detail", "error_message", "errorMessage", "error_msg", "error_description", "Message",
             "error", "errors", "title")  # fmt: skip
_CODES = ("code", "error_code", "errorCode", "err_code")
_TYPES = ("type", "error_type", "errorType")
_EXTRA = ("innererror", "metadata")
"""Members that clients read: why Azure filtered, what OpenRouter's own provider said."""
_UNKNOWN_MODEL = frozenset({None, "404", "not_found", "not_found_error", "NOT_FOUND", "NotFoundError"})
"""Codes of a 404 that say no more than the status does."""


def error_in(body: bytes) -> object:
    """What an error's body says: what stands under `error`, else the body's own members, else its text.

    None if there is nothing, or a page of HTML.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        text = body.decode(errors="replace").strip()
        return {"message": text} if text and not text.startswith(("<", "{", "[")) else None
    if isinstance(content, list) and len(content) == 1:  # as Google has it in a stream that is no event stream
        content = content[0]
    if isinstance(content, str):
        return {"message": content}
    if not isinstance(content, dict):
        return None
    error = content.get("error")
    return content if error is None or isinstance(error, str) else error


def body_told(attempt: Attempt, status: int, error: object) -> UpstreamErrorBody | None:
    """What `error`, the fields of an error, says about the request; None if its status does not speak of that."""
    if status not in STATUSES:
        return None
    fields: Fields = error if isinstance(error, Mapping) else {}
    mask = attempt.masking.mask
    message = _message(fields)
    kind, code, param = (
        None if word is None else _cut(mask(word[:MAX_READ]), MAX_WORD_BYTES)
        for word in (_first_word(fields, _TYPES), _first_word(fields, _CODES), _first_word(fields, ("param",)))
    )
    if code == kind:  # Anthropic has types alone
        code = None
    if status == 404 and message is not None and code in _UNKNOWN_MODEL and param in {None, "model"}:
        code = "model_not_found"
    left = MAX_BYTES - sum(len(word.encode()) for word in (kind, code, param) if word)
    if message is not None:
        message = _cut(_masked(attempt, message), left)
        left -= len(message.encode())
    extra = _extra(attempt, fields)
    return UpstreamErrorBody(status, message, kind, code, param, extra if len(extra) <= left else b"")


def _message(fields: Fields, depth: int = 0) -> str | None:
    """The text for people, wherever it stands, a few levels deep."""
    if depth > MAX_DEPTH:
        return None
    for name in _MESSAGES:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, Mapping) and (text := _message(value, depth + 1)) is not None:
            return text
        if isinstance(value, list) and (
            text := "; ".join(filter(None, (_item(one, depth + 1) for one in value[:100])))
        ):
            return text
    return None


def _item(item: object, depth: int) -> str | None:
    """One of several errors: FastAPI's say where (`loc`) and what (`msg`), and repeat the input, which is left out."""
    if not isinstance(item, Mapping):
        return item if isinstance(item, str) else None
    text, place = _message(item, depth), item.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    return f"{where}: {text}" if where and text else text


def _first_word(fields: Fields, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value
    return None


def _extra(attempt: Attempt, fields: Fields) -> bytes:
    given = {name: fields[name] for name in _EXTRA if isinstance(fields.get(name), Mapping)}
    if not given:
        return b""
    try:
        if len(json.dumps(given, ensure_ascii=False)) > MAX_BYTES:
            return b""
        return json.dumps(_walk(attempt, given)).encode()
    except RecursionError:
        return b""


def _walk(attempt: Attempt, value: Any) -> Any:
    """The value with all its texts masked, names of members included."""
    if isinstance(value, str):
        return attempt.masking.mask(value)
    if isinstance(value, dict):
        return {attempt.masking.mask(name): _walk(attempt, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_walk(attempt, item) for item in value]
    return value


def _masked(attempt: Attempt, text: str) -> str:
    """The text masked. What is cut off before it is read may have cut a secret, so that its tail goes too."""
    masked = attempt.masking.mask(text[:MAX_READ])
    return masked if len(text) <= MAX_READ else masked[: -max(attempt.masking.longest, LONGEST_FORM)]


def _cut(text: str, size: int) -> str:
    """The beginning of the text, `size` bytes at most, an ellipsis included; halves of surrogate pairs are replaced."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= size:
        return encoded.decode()
    return encoded[: size - 3].decode(errors="ignore") + "…"
