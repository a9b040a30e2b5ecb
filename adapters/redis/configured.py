"""The Redis client and the limiter that the settings ask for."""

from adapters.memory.limiter import MemoryLimiter
from adapters.memory.unlimited import UnlimitedLimiter
from adapters.redis.client import RedisClient, Timing
from adapters.redis.connection import connector
from adapters.redis.health import StateChanged
from adapters.redis.limiter import RedisLimiter
from adapters.redis.limiter_lease import LeasingLimiter
from adapters.settings import Settings
from adapters.settings_groups import RedisSettings
from ports.clock import Clock
from ports.defects import Defects
from ports.limiter import Limiter


def client_of(redis: RedisSettings, timing: Timing, changed: StateChanged, defects: Defects) -> RedisClient | None:
    """None if no Redis is configured. Nothing is opened yet; `changed` is told whether Redis serves."""
    if not redis.enabled:
        return None
    url, password = (None if secret is None else secret.get_secret_value() for secret in (redis.url, redis.password))
    host = redis.host or "localhost"
    connect = connector(url, host=host, port=redis.port, db=redis.db, password=password)
    return RedisClient(connect, timing, changed, pool_min=redis.pool_min, pool_max=redis.pool_max, defects=defects)


def limiter_of(settings: Settings, clock: Clock, client: RedisClient | None, defects: Defects) -> Limiter:
    """In memory without Redis; one that admits everybody, if the limits are switched off."""
    limits = settings.rate_limit
    if not limits.enabled:
        return UnlimitedLimiter()
    if client is None:
        return MemoryLimiter(clock, settings.tiers)
    if not limits.lease_requests:
        return RedisLimiter(client, clock, settings.tiers, limits.outage, limits.replicas)
    calls = limits.lease_requests
    return LeasingLimiter(client, clock, settings.tiers, limits.outage, limits.replicas, calls, defects)
