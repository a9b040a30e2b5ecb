"""Errors of OpenAI's dialect -> errors of the house: by status and code, never by text, and no text is kept (P1)."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from adapters.providers.attempt import Attempt
from adapters.providers.frame_errors import status_in
from domain.errors import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    Scalar,
)

MAX_RETRY_AFTER = 3600.0

_WORD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")

# 402 and `insufficient_quota` (a 429): the account is empty, which no retry mends and an operator must.
_OPERATOR = frozenset({401, 402, 403})
_EMPTY_ACCOUNT = "insufficient_quota"
_KINDS: dict[int, tuple[type[ProviderError], str]] = {
    404: (ProviderModelNotFoundError, "The provider does not know the model."),
    408: (ProviderTimeoutError, "The provider ran out of time."),
    429: (ProviderRateLimitedError, "The provider's rate limit is reached."),
}


def status_error(attempt: Attempt, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error that a response with this status is."""
    return known_error(attempt, status, headers, error_in(body))


def error_in(body: bytes) -> object:
    """What stands under `error` in a body, which is where each of the dialects has it; None if there is nothing."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(content, list) and len(content) == 1:  # as Google has it in a stream that is no event stream
        content = content[0]
    return content.get("error") if isinstance(content, dict) else None


def known_error(attempt: Attempt, status: int, headers: Mapping[str, str], error: object) -> ProviderError:
    """The error that a response is which says this under `error`."""
    return _build(attempt, status, error, {"status": status, "retry_after": _retry_after(headers)})


def stream_error(attempt: Attempt, error: object) -> ProviderError:
    """The error that comes with the status 200; `error` is what it says, as `told_error` gives it."""
    return _build(attempt, status_in(error) if isinstance(error, Mapping) else 500, error, {})


def _build(attempt: Attempt, status: int, error: object, facts: dict[str, Scalar]) -> ProviderError:
    fields: Mapping[str, object] = error if isinstance(error, Mapping) else {}
    code = _word(fields.get("code"))
    details = {**facts, "provider_code": code, "param": _word(fields.get("param"))}
    kind, message = _kind(status, code)
    return attempt.error(kind, message, **{name: value for name, value in details.items() if value is not None})


def _kind(status: int, code: str | None) -> tuple[type[ProviderError], str]:
    if status in _OPERATOR or code == _EMPTY_ACCOUNT:
        return ProviderAuthenticationError, "The provider refused Headgate's key or account."
    if status in _KINDS:
        return _KINDS[status]
    if status < 400:
        return ProviderResponseError, "The provider answered with a status that is not an answer."
    if status < 500:
        return ProviderRequestError, "The provider refused the request."
    return ProviderUnavailableError, "The provider failed."


def _word(value: object) -> str | None:
    """A code or a parameter's name, if it looks like one: it may come from the prompt otherwise."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text if isinstance(text, str) and _WORD.fullmatch(text) else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, a number or an HTTP date (against the provider's own clock), at most an hour."""
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), MAX_RETRY_AFTER)
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)  # an HTTP date is always GMT
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
