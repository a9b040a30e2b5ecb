"""R9 in a fleet: a provider's words are in the stream's own log for as long as that is kept, and nowhere else."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import redis

from tests.entrypoints.test_provider_words import KEY, OTHER_KEY, environ
from tests.redis_server import RedisServer
from tests.scripted_upstream import said, upstream
from tests.service import process


async def test_redis_keeps_them_with_the_stream_alone_and_any_replica_tells_them(tmp_path: Path) -> None:
    words = "planted words of the provider"
    own, other = ({"Authorization": f"Bearer {key}"} for key in (KEY, OTHER_KEY))
    async with upstream(said(422, message=words, code="odd")) as one:
        with RedisServer() as server:
            settings = environ(tmp_path, one, REDIS_URL=server.url)
            log = tmp_path / "log"
            with log.open("w") as output, process({**settings, "LOG_LEVEL": "debug"}, output) as (_, first):
                async with httpx.AsyncClient(base_url=first, timeout=20, headers=own) as client:
                    ask = {"model": "p/m", "prompt": "hi"}
                    got = await client.post("/v1/streams", json=ask, headers={"Prefer": "respond-async"})
                    location = got.headers["location"]
                    told = await client.get(location)
                    assert words in told.text
                with process(settings) as (_, second):
                    async with httpx.AsyncClient(base_url=second, timeout=20) as client:
                        assert (await client.get(location, headers=own)).content == told.content
                        assert (await client.get(location, headers=other)).status_code == 404
            holding = await asyncio.to_thread(keys_holding, server, words)
            stream_id = location.rpartition("/")[2]
            assert holding
            assert all(stream_id in key and 0 < seconds <= 600 for key, seconds in holding.items())
    assert words not in log.read_text()


def keys_holding(server: RedisServer, words: str) -> dict[str, float]:
    """The keys with these words anywhere in their values, and the seconds that they are kept."""
    client = redis.Redis.from_url(server.url)
    read: dict[bytes | str, Callable[[bytes], object]] = {
        b"stream": client.xrange,
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    try:
        kinds = {key: client.type(key) for key in client.scan_iter()}
        held = [key for key, kind in kinds.items() if words in repr(read[kind](key))]
        return {key.decode(): client.pttl(key) / 1000 for key in held}
    finally:
        client.close()
