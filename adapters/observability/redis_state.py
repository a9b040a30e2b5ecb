"""The log lines about Redis going and coming back: one for each change, never one for each request."""

from adapters.observability.logging import get_logger, log_stage

STAGE = "REDIS.HEALTH"


def log_redis_state(serves: bool, reason: str) -> None:
    """Says whether Redis serves; `reason` is the word for why it does not."""
    logger = get_logger("headgate.redis")
    if serves:
        log_stage(logger, STAGE, "Redis serves")
    else:
        log_stage(logger, STAGE, "Redis does not serve: this replica goes on alone", level="warning", reason=reason)
