"""Errors of Gemini's API -> errors of the house: by status and reason, never by text, and no text is kept (P1).

They are `google.rpc.Status` in JSON (google.aip.dev/193): a code, which is the HTTP status, a word for it, and details.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from adapters.providers import openai_errors
from adapters.providers.attempt import Attempt
from domain.errors import ProviderError

_DELAY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)[0-9]{0,3}s")
_WRONG_KEY = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
"""Reasons that come with the status 400 although it is the key that is refused."""


def status_error(attempt: Attempt, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error that a response with this status is; its `provider_code` is Google's word for the status."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, list) and len(content) == 1:  # as a stream that is no event stream has it
        content = content[0]
    return _error(attempt, status, headers, content.get("error") if isinstance(content, dict) else None)


def stream_error(attempt: Attempt, error: object) -> ProviderError:
    """The error that an `{"error": ...}` inside a stream is; `error` is what the key holds."""
    code = error.get("code") if isinstance(error, dict) else None
    return _error(attempt, code if isinstance(code, int) and 400 <= code <= 599 else 500, {}, error)


def _error(attempt: Attempt, status: int, headers: Mapping[str, str], error: object) -> ProviderError:
    """Status, code and Retry-After mean the same as in OpenAI's dialect."""
    fields = error if isinstance(error, dict) else {}
    word = fields.get("status")
    for detail in _details(fields):
        if status == 400 and detail.get("reason") in _WRONG_KEY:
            status, word = 401, detail["reason"]
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (match := _DELAY.fullmatch(delay)):
            headers = {"retry-after": match[1], **headers}
    body = json.dumps({"error": {"code": word if isinstance(word, str) else None}}).encode()
    return openai_errors.status_error(attempt, status, headers, body)


def _details(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    details = fields.get("details")
    return (one for one in (details if isinstance(details, list) else ()) if isinstance(one, dict))
