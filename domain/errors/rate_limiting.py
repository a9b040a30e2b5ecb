"""Limits of a caller's tier."""

from domain.errors.root import SSEBaseError


class RateLimitError(SSEBaseError):
    """The caller's limits do not admit the request."""

    code = "rate_limit_error"


class RateLimitExceededError(RateLimitError):
    """Over the limit now; `retry_after` says when the same call passes if nobody else takes tokens."""

    code = "rate_limit_exceeded"
    retryable = True


class RequestTooCostlyError(RateLimitError):
    """The request costs more tokens than the tier's bucket ever holds: it can never pass."""

    code = "cost_above_limit"
