"""Errors of Anthropic's dialect -> errors of the house: by status and type, never by text."""

from collections.abc import Mapping

from adapters.providers.attempt import Attempt
from adapters.providers.error_body import error_in
from adapters.providers.openai_errors import known_error
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
    return _error(attempt, status, headers, error_in(body))


def stream_error(attempt: Attempt, error: object) -> ProviderError:
    """The error that an `error` event inside a stream is; `error` is what the key of that name holds."""
    return _error(attempt, _STATUS_OF_TYPE.get(_type(error) or "", 500), {}, error)


def _type(error: object) -> str | None:
    kind = error.get("type") if isinstance(error, dict) else None
    return kind if isinstance(kind, str) else None


def _error(attempt: Attempt, status: int, headers: Mapping[str, str], error: object) -> ProviderError:
    """Status, type and Retry-After mean the same in both dialects; what is a code there is the type here."""
    fields = error if isinstance(error, Mapping) else {}
    return known_error(attempt, status, headers, {**fields, "code": _type(error)})
