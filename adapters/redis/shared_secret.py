"""The fleet's secret: made by the first replica, kept in Redis, known to all."""

from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError

KEY = "headgate:secret"


async def shared_secret(client: RedisClient, own: bytes) -> bytes | None:
    """The secret that the fleet shares: `own`, if there was none. None if Redis cannot tell now."""
    try:
        found = await client.execute("SET", KEY, own, "NX", "GET")
    except RedisClientError:
        return None
    return found if isinstance(found, bytes) else own
