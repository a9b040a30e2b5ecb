"""Errors of OpenAI's dialect -> errors of the house: by status, code and type, never by text.

What it says about the request goes with the error, apart from all that is logged (R9, P1).
"""

import re
from collections.abc import Mapping, Set

from adapters.providers.attempt import Attempt
from adapters.providers.error_body import body_told, error_in
from adapters.providers.frame_errors import status_in
from adapters.providers.retry_after import retry_after
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

_WORD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")

# 402 and `insufficient_quota` (a 429): the account is empty, which no retry mends and an operator must.
_OPERATOR = frozenset({401, 402, 403, 407})  # 407: the proxy's
_EMPTY_ACCOUNT = "insufficient_quota"
_OPERATOR_WORDS = frozenset(
    {_EMPTY_ACCOUNT, "billing_hard_limit_reached", "billing_not_active", "billing_error", "account_deactivated",
     "invalid_api_key", "invalid_organization", "authentication_error", "permission_error"}
)  # fmt: skip
"""Codes and types that speak of us, whatever their status."""
_KINDS: dict[int, tuple[type[ProviderError], str]] = {
    404: (ProviderModelNotFoundError, "The provider does not know the model."),
    408: (ProviderTimeoutError, "The provider ran out of time."),
    429: (ProviderRateLimitedError, "The provider's rate limit is reached."),
}


def status_error(attempt: Attempt, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """The error that a response with this status is."""
    return known_error(attempt, status, headers, error_in(body))


def known_error(attempt: Attempt, status: int, headers: Mapping[str, str], error: object) -> ProviderError:
    """The error that a response is which says this under `error`."""
    return _build(attempt, status, error, {"status": status, "retry_after": retry_after(headers)})


def stream_error(attempt: Attempt, error: object) -> ProviderError:
    """The error that comes with the status 200; `error` is what it says, as `told_error` gives it."""
    return _build(attempt, status_in(error) if isinstance(error, Mapping) else 500, error, {})


def _build(attempt: Attempt, status: int, error: object, facts: dict[str, Scalar]) -> ProviderError:
    fields: Mapping[str, object] = error if isinstance(error, Mapping) else {}
    code = _word(fields.get("code"))
    details = {**facts, "provider_code": None if code is None else attempt.masking.mask(code)}
    kind, message = _kind(status, {code, _word(fields.get("type"))})
    if issubclass(kind, ProviderRequestError) and (param := _word(fields.get("param"))) is not None:
        details["param"] = attempt.masking.mask(param)
    known = attempt.error(kind, message, **{name: value for name, value in details.items() if value is not None})
    if isinstance(known, ProviderRequestError):
        known.told = body_told(attempt, status, error)
    return known


def _kind(status: int, words: Set[str | None]) -> tuple[type[ProviderError], str]:
    if status in _OPERATOR or not _OPERATOR_WORDS.isdisjoint(words):
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
