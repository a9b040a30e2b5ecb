"""What only the keys on Redis promise: little is read, a loss is told from none, and only errors of ours come out."""

from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.keys import KEY, RedisApiKeys
from domain.errors import ConfigurationError
from ports.keys import ApiKey
from tests.redis_cases import redis_client
from tests.redis_proxy import proxy_to
from tests.redis_server import RedisServer

ACME = ApiKey("acme", "a" * 64, "acme", "default", 1)
OTHER = ApiKey("other", "b" * 64, "other", "default", 2)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[RedisClient]:
    async with redis_client(connector(server.url)) as client:
        yield client


async def test_as_long_as_nothing_changes_one_field_is_read(client: RedisClient) -> None:
    keys = RedisApiKeys(client)
    await keys.put(ACME)
    first = await keys.list()
    before = client.commands
    assert await keys.list() is first
    assert client.commands == before + 1


async def test_a_row_that_nobody_can_read_is_no_key_and_hides_no_other(client: RedisClient) -> None:
    keys = RedisApiKeys(client)
    await keys.put(OTHER)
    deep = f'{{"note":{"[" * 100_000}{"]" * 100_000}}}'
    rows = (("a", "x"), ("b", "[]"), ("c", '{"sha256":"x","tenant":"t","tier":"t"}'), (b"\xff", b"\xff"), ("d", deep))
    for name, row in rows:
        await client.execute("HSET", KEY, name, row)
    await keys.put(ACME)
    assert await keys.list() == (ACME, OTHER)
    assert await keys.remove("c") is True


async def test_keys_that_were_lost_are_an_error_and_not_none_22(client: RedisClient) -> None:
    """Fault 22. A service that has just started cannot know of them."""
    keys = RedisApiKeys(client)
    await keys.put(ACME)
    assert await keys.list() == (ACME,)
    await client.execute("FLUSHALL")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="has lost"):
            await keys.list()
    assert await RedisApiKeys(client).list() == ()
    await keys.put(OTHER)
    assert await keys.list() == (OTHER,)


async def test_a_key_of_another_type_is_an_error_of_ours(client: RedisClient) -> None:
    await client.execute("SET", KEY, "x")
    keys = RedisApiKeys(client)
    for use in (keys.list, lambda: keys.put(ACME), lambda: keys.remove("acme")):
        with pytest.raises(ConfigurationError, match="WRONGTYPE"):
            await use()


async def test_unplugged_only_our_errors_come_out_1() -> None:
    """Faults 1 and 2."""
    async with redis_client(connector("redis://127.0.0.1:1/0")) as client:
        keys = RedisApiKeys(client)
        for use in (keys.list, lambda: keys.put(ACME), lambda: keys.remove("acme")):
            with pytest.raises(ConfigurationError, match=r"Redis does not serve \(CONNECTION\)"):
                await use()


async def test_a_change_whose_reply_was_lost_is_told_as_that_8(server: RedisServer) -> None:
    """Fault 8."""
    async with proxy_to(server.port) as proxy, redis_client(connector(proxy.url)) as client:
        keys = RedisApiKeys(client)
        await keys.put(ACME)
        proxy.lose_replies = True
        with pytest.raises(ConfigurationError, match="did not say whether it was done"):
            await keys.put(OTHER)


async def test_wrong_credentials_are_named_by_their_setting_23() -> None:
    """Fault 23."""
    with RedisServer("--requirepass", "planted-right") as locked:
        async with redis_client(connector(locked.url)) as client:
            with pytest.raises(ConfigurationError, match="REDIS_PASSWORD: Redis does not accept") as caught:
                await RedisApiKeys(client).list()
    assert "planted" not in repr(caught.value)
