"""The log lines about Redis going and coming back: one for each change, never one for each request."""

from adapters.observability.logging import get_logger

_logger = get_logger("headgate.redis")


def log_redis_state(serves: bool, reason: str) -> None:
    """Says whether Redis serves; `reason` is the word for why it does not."""
    if serves:
        _logger.info("Redis serves", stage="REDIS.HEALTH")
    else:
        _logger.warning("Redis does not serve: this replica goes on alone", stage="REDIS.HEALTH", reason=reason)
