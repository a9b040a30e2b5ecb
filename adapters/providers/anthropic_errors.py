"""Errors of Anthropic's dialect -> errors of the house: by status and type, never by text."""

from collections.abc import Mapping

from adapters.providers.attempt import Attempt
from adapters.providers.error_body import error_in
from adapters.providers.frame_errors import status_in
from adapters.providers.openai_errors import known_error
from domain.errors import ProviderError


def status_error(attempt: Attempt, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error that a response with this status is; its `provider_code` is Anthropic's type of it."""
    return _error(attempt, status, headers, error_in(body))


def stream_error(attempt: Attempt, error: object) -> ProviderError:
    """The error that an `error` event inside a stream is, or a frame that is none of Anthropic's; `error` is what it
    says, as `told_error` gives it (platform.claude.com/docs/en/api/errors)."""
    return _error(attempt, status_in(error) if isinstance(error, Mapping) else 500, {}, error)


def _type(error: object) -> str | None:
    kind = error.get("type") if isinstance(error, Mapping) else None
    return kind if isinstance(kind, str) else None


def _error(attempt: Attempt, status: int, headers: Mapping[str, str], error: object) -> ProviderError:
    """Status, type and Retry-After mean the same in both dialects; what is a code there is the type here."""
    fields = error if isinstance(error, Mapping) else {}
    return known_error(attempt, status, headers, {**fields, "code": _type(error)})
