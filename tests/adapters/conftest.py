"""What the tests of the Redis adapters share: a server of their own, which they may hurt, a network before it, and a
client with four connections.

A module with other needs has fixtures of the same names.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from tests.adapters.queue_fleet import Fleet
from tests.contracts.redis_time import still_client
from tests.redis_cases import redis_client
from tests.redis_proxy import Proxy, proxy_to
from tests.redis_server import RedisServer, any_redis_url
from tests.service import until

CONNECTIONS = 4


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[Proxy]:
    async with proxy_to(server.port) as proxy:
        yield proxy


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[RedisClient]:
    async with redis_client(connector(server.url), pool_min=CONNECTIONS) as client:
        await until(lambda: client.connections == CONNECTIONS)
        yield client


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of a server that is there for all, and is not hurt."""
    with any_redis_url() as url:
        yield url


@pytest.fixture
async def fleet(url: str) -> AsyncIterator[Fleet]:
    async with still_client(connector(url)) as client:
        fleet = Fleet(client)
        yield fleet
        for process in fleet.processes:
            await process.log.aclose()
