"""The Redis client that the settings ask for."""

from adapters.redis.client import RedisClient, Timing
from adapters.redis.connection import connector
from adapters.redis.health import StateChanged
from adapters.settings_groups import RedisSettings


def client_of(redis: RedisSettings, timing: Timing, changed: StateChanged) -> RedisClient | None:
    """None if no Redis is configured. Nothing is opened yet; `changed` is told whether Redis serves."""
    if not redis.enabled:
        return None
    url, password = (None if secret is None else secret.get_secret_value() for secret in (redis.url, redis.password))
    host = redis.host or "localhost"
    connect = connector(url, host=host, port=redis.port, db=redis.db, password=password)
    return RedisClient(connect, timing, changed, pool_min=redis.pool_min, pool_max=redis.pool_max)
