"""Breakers."""

from domain.errors.root import SSEBaseError


class CircuitBreakerOpenError(SSEBaseError):
    """Every target of the route is shut out by its breaker; nothing was sent."""

    code = "circuit_open"
    retryable = True
