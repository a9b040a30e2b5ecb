"""The answer cache of a process with Redis."""

import httpx

from tests.redis_server import RedisServer
from tests.service import eventually, process


def served_by(url: str) -> str:
    """What serves an answer that was asked for before."""
    return httpx.post(f"{url}/v1/streams", json={"prompt": "x", "model": "demo/instant"}).headers["x-cache"]


def test_an_l1_without_room_leaves_answers_to_l2_k5() -> None:
    """K5: each tier has a bound of its own."""
    with RedisServer() as redis, process({"REDIS_URL": redis.url, "CACHE_L1_MAX_BYTES": "1024"}) as (_, url):
        assert served_by(url) == "miss"
        eventually(lambda: served_by(url) == "hit-l2")  # first the call in flight is shared, for a second
        assert served_by(url) == "hit-l2"
