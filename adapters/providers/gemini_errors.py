"""Errors of Gemini's API -> errors of the house: by status and reason, never by text.

They are `google.rpc.Status` in JSON (google.aip.dev/193): a code, which is the HTTP status, a word for it, and details.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from adapters.providers.attempt import Attempt
from adapters.providers.error_body import error_in
from adapters.providers.frame_errors import status_in
from adapters.providers.openai_errors import known_error
from domain.errors import ProviderError

_DELAY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)[0-9]{0,3}s")
_WRONG_KEY = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
"""Reasons that come with the status 400 although it is the key that is refused."""


def status_error(attempt: Attempt, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error that a response with this status is; its `provider_code` is Google's word for the status."""
    return _error(attempt, status, headers, error_in(body))


def stream_error(attempt: Attempt, error: object) -> ProviderError:
    """The error that an `{"error": ...}` inside a stream is; `error` is what it says, as `told_error` gives it."""
    return _error(attempt, status_in(error) if isinstance(error, Mapping) else 500, {}, error)


def _error(attempt: Attempt, status: int, headers: Mapping[str, str], error: object) -> ProviderError:
    """Status, code and Retry-After mean the same as in OpenAI's dialect."""
    fields: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    word = fields.get("status")
    for detail in _details(fields):
        if status == 400 and detail.get("reason") in _WRONG_KEY:
            status, word = 401, detail["reason"]
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (match := _DELAY.fullmatch(delay)):
            headers = {"retry-after": match[1], **headers}
    told = {**fields, "code": word if isinstance(word, str) else None, "param": _field(fields)}
    return known_error(attempt, status, headers, told)


def _field(fields: Mapping[str, Any]) -> str | None:
    """The first field that a `google.rpc.BadRequest` among the details finds wrong."""
    for detail in _details(fields):
        violations = detail.get("fieldViolations")
        for one in violations if isinstance(violations, list) else ():
            if isinstance(one, dict) and isinstance(one.get("field"), str):
                return str(one["field"])
    return None


def _details(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    details = fields.get("details")
    return (one for one in (details if isinstance(details, list) else ()) if isinstance(one, dict))
