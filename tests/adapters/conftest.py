"""What the tests of the Redis adapters share: a server of their own for each, and a network before it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.redis_proxy import Proxy, proxy_to
from tests.redis_server import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[Proxy]:
    async with proxy_to(server.port) as proxy:
        yield proxy
