"""Errors of Anthropic's dialect -> errors of the house: by status and type, never by text, and no text is kept (P1)."""

import json
from collections.abc import Mapping

from adapters.providers import openai_errors
from adapters.providers.attempt import Attempt
from domain.errors import ProviderError

_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""What an error inside a stream would have had as its status (platform.claude.com/docs/en/api/errors)."""


def status_error(attempt: Attempt, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error that a response with this status is; its `provider_code` is Anthropic's type of it."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    return _error(attempt, status, headers, _type(content.get("error") if isinstance(content, dict) else None))


def stream_error(attempt: Attempt, error: object) -> ProviderError:
    """The error that an `error` event inside a stream is; `error` is what the key of that name holds."""
    kind = _type(error)
    return _error(attempt, _STATUS_OF_TYPE.get(kind or "", 500), {}, kind)


def _type(error: object) -> str | None:
    kind = error.get("type") if isinstance(error, dict) else None
    return kind if isinstance(kind, str) else None


def _error(attempt: Attempt, status: int, headers: Mapping[str, str], kind: str | None) -> ProviderError:
    """Status, code and Retry-After mean the same in both dialects."""
    return openai_errors.status_error(attempt, status, headers, json.dumps({"error": {"code": kind}}).encode())
