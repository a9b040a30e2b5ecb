"""The contract of the port of the API keys; and its adapters, fresh."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest
from fakeredis import FakeServer
from fakeredis.aioredis import FakeRedis
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.key_file import FileApiKeys
from adapters.memory.keys import MemoryApiKeys
from adapters.redis.connection import Connector, connector
from adapters.redis.keys import RedisApiKeys
from ports.keys import ApiKey, ApiKeys
from tests.redis_cases import redis_client

Pair: TypeAlias = tuple[ApiKeys, ApiKeys]
"""A command's adapter and a service's, on one store."""
OpenKeys: TypeAlias = Callable[[], AbstractAsyncContextManager[Pair]]


@asynccontextmanager
async def memory_keys() -> AsyncIterator[Pair]:
    keys = MemoryApiKeys()
    yield keys, keys


@asynccontextmanager
async def file_keys() -> AsyncIterator[Pair]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "keys.json")
        yield FileApiKeys(path), FileApiKeys(path)
        assert {one.name for one in Path(folder).iterdir()} <= {"keys.json"}


@asynccontextmanager
async def redis_keys(connect: Connector) -> AsyncIterator[Pair]:
    async with redis_client(connect) as client:
        yield RedisApiKeys(client), RedisApiKeys(client)


@asynccontextmanager
async def fakeredis_keys() -> AsyncIterator[Pair]:
    fake = FakeRedis(server=FakeServer(), protocol=2).connection_pool
    async with redis_keys(fake.make_connection) as pair:
        yield pair


KEYS: dict[str, OpenKeys] = {"memory": memory_keys, "file": file_keys, "fakeredis": fakeredis_keys}


@pytest.fixture(scope="session", params=[*KEYS, "server"])
def open_keys(request: pytest.FixtureRequest) -> OpenKeys:
    if request.param == "server":
        return partial(redis_keys, connector(request.getfixturevalue("redis_url")))
    return KEYS[request.param]


def key(name: str, digit: str = "a", tier: str = "default") -> ApiKey:
    return ApiKey(name, digit * 64, f"tenant of {name}", tier, 1_760_000_000)


async def test_what_was_put_is_listed_by_name_with_every_field(open_keys: OpenKeys) -> None:
    async with open_keys() as (keys, service):
        assert await service.list() == ()
        assert await keys.put(key("b", "b", "premium")) is True
        assert await keys.put(ApiKey("a.é", "0" * 64, "t", "default")) is True
        assert await service.list() == (ApiKey("a.é", "0" * 64, "t", "default"), key("b", "b", "premium"))


async def test_a_name_is_given_once(open_keys: OpenKeys) -> None:
    async with open_keys() as (keys, service):
        assert await keys.put(key("acme", "a")) is True
        assert await keys.put(key("acme", "b")) is False
        assert await service.list() == (key("acme", "a"),)


async def test_what_was_removed_is_gone_and_its_name_is_free(open_keys: OpenKeys) -> None:
    async with open_keys() as (keys, service):
        await keys.put(key("acme", "a"))
        await keys.put(key("other", "c"))
        assert await service.list() == (key("acme", "a"), key("other", "c"))
        assert await keys.remove("acme") is True
        assert await keys.remove("acme") is False
        assert await keys.remove("never") is False
        assert await service.list() == (key("other", "c"),)
        assert await keys.put(key("acme", "b")) is True
        assert await service.list() == (key("acme", "b"), key("other", "c"))


async def test_after_the_last_one_there_are_none(open_keys: OpenKeys) -> None:
    async with open_keys() as (keys, service):
        await keys.put(key("acme"))
        assert len(await service.list()) == 1
        await keys.remove("acme")
        assert await service.list() == ()
        assert await keys.list() == ()


NAMES = "abc"
puts = st.tuples(st.just("put"), st.sampled_from(NAMES), st.sampled_from("0123"))
removals = st.tuples(st.just("remove"), st.sampled_from(NAMES), st.just(""))


@given(steps=st.lists(puts | removals, max_size=12))
@settings(deadline=None, max_examples=30)
async def test_any_use_lists_what_was_put_and_not_removed(
    open_keys: OpenKeys, steps: list[tuple[str, str, str]]
) -> None:
    model: dict[str, ApiKey] = {}
    async with open_keys() as (keys, service):
        for step, name, digit in steps:
            if step == "put":
                assert await keys.put(key(name, digit)) is (name not in model)
                model.setdefault(name, key(name, digit))
            else:
                assert await keys.remove(name) is (model.pop(name, None) is not None)
            assert await service.list() == tuple(model[name] for name in sorted(model))
