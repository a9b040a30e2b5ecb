"""What only the cache on Redis promises: its encoding, its bounds, and that only `CacheError` comes out of it."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from fakeredis import FakeServer
from fakeredis.aioredis import FakeRedis
from hypothesis import given
from hypothesis import strategies as st

from adapters.redis.answer_codec import VERSION, UnreadableEntryError, decode, encode
from adapters.redis.cache import PREFIX, RedisCache
from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from domain.delta import Delta, Dialect, ToolCallDelta, Usage
from domain.errors import CacheConnectionError, CacheError
from domain.events import Answer
from domain.model import Complete
from tests.loop_time import loop_time
from tests.redis_cases import redis_client
from tests.redis_server import RedisServer

MIB = 1 << 20

texts = st.text(st.characters(exclude_categories=()), max_size=20)  # surrogates and NUL included
usages = st.none() | st.builds(Usage, *[st.integers(0, 2**40)] * 4)
extras = st.binary(max_size=20)
calls = st.builds(ToolCallDelta, st.integers(0, 9), st.none() | texts, st.none() | texts, texts, extras)
deltas = st.builds(
    Delta,
    texts,
    st.binary(max_size=50),
    st.sampled_from(Dialect),
    st.integers(0, 9),
    st.none() | texts,
    texts,
    st.lists(calls, max_size=2).map(tuple),
    st.none() | texts,
    usages,
    st.none() | texts,
    extras,
)
completes = st.builds(Complete, texts, usages, texts, texts)
runs = st.builds(  # deltas of one shape
    lambda delta, others: [delta, *(Delta.shaped(text, delta.shape) for text in others)],
    deltas,
    st.lists(texts, max_size=3),
)
answers = st.builds(
    lambda pieces, size: Answer(tuple(event for piece in pieces for event in piece), size),
    st.lists(runs | completes.map(lambda end: [end]), max_size=8),
    st.integers(0, MIB),
)


def whole(text: str = "hello", deltas: int = 1) -> Answer:
    return Answer((*[Delta(text=text, raw=b'{"a":1}')] * deltas, Complete("stop", None, "m", "p/m")), 100)


def entry(answer: Answer) -> bytes:
    encoded = encode(answer, 16 * MIB)
    assert encoded is not None
    return encoded


@given(answers)
def test_any_answer_comes_back_as_it_was(answer: Answer) -> None:
    """K3."""
    assert decode(entry(answer), MIB) == answer


def test_what_was_written_before_there_were_signatures_is_read() -> None:
    call = {"index": 0, "id": "c", "name": "f", "arguments": "{}"}
    row = [["a"], b"", None, "native", 0, None, "", [call], "stop", [1, 2], "m", False]
    expected = Delta("a", tool_calls=(ToolCallDelta(0, "c", "f", "{}"),), finish_reason="stop", usage=Usage(1, 2),
                     model="m")  # fmt: skip
    assert list(decode(bytes((VERSION, 0)) + msgspec.msgpack.encode([row]), MIB)) == [expected]


@pytest.mark.parametrize("count", [1, 1_000])
def test_any_damage_is_noticed_or_harmless(count: int) -> None:
    """K5: cut at any byte, and with any one byte changed: unreadable, or an answer, and never another error."""
    good = entry(whole(deltas=count))
    for length in range(len(good)):
        with pytest.raises(UnreadableEntryError):
            decode(good[:length], MIB)
    with pytest.raises(UnreadableEntryError):
        decode(good + b"\x00", MIB)
    for place in range(len(good)):
        damaged = good[:place] + bytes((good[place] ^ 0x55,)) + good[place + 1 :]
        try:
            decode(damaged, MIB)
        except UnreadableEntryError:
            continue
        assert count == 1  # zlib has a checksum; MessagePack has none


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_unreadable(noise: bytes) -> None:
    """K5."""
    for data in (noise, bytes((VERSION, 0)) + noise, bytes((VERSION, 1)) + zlib.compress(noise)):
        try:
            decode(data, MIB)
        except UnreadableEntryError:
            continue


def test_a_large_answer_is_compressed_and_a_bomb_is_not_unpacked() -> None:
    """K5: 200 MB in 200 KB cost neither memory nor time."""
    large = whole("same words again and again " * 10, deltas=300)
    assert len(entry(large)) < 5_000
    bomb = bytes((VERSION, 1)) + zlib.compress(b"\x92" + b"\x00" * 200_000_000)
    started = time.process_time()
    with pytest.raises(UnreadableEntryError):
        decode(bomb, MIB)
    assert time.process_time() - started < 0.2  # all of it takes half a second
    assert encode(large, 10_000) is None


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[RedisClient]:
    async with redis_client(connector(server.url), pool_min=2) as client:
        yield client


async def test_what_is_not_an_answer_is_a_miss_and_a_counter(client: RedisClient) -> None:
    """K5: corrupt, foreign, of another version, of another type, too large."""
    cache = RedisCache(client, max_entry_bytes=10_000)
    good = entry(whole())
    newer, packed = bytes((VERSION + 1,)) + good[1:], bytes((VERSION, 7)) + good[2:]
    shapeless = bytes((VERSION, 0)) + bytes(8) + msgspec.msgpack.encode(["a text alone"])
    entries = [good[:-1], b"foreign", newer, packed, shapeless, b"x" * 200_000]
    for count, wrong in enumerate(entries, start=1):
        await client.execute("SET", PREFIX + "key", wrong)
        assert await cache.get("key") is None
        assert cache.unreadable == count
    await client.execute("DEL", PREFIX + "key")
    await client.execute("LPUSH", PREFIX + "key", "a list")
    assert await cache.get("key") is None
    assert cache.unreadable == len(entries) + 1
    assert await cache.get("nothing") is None  # an ordinary miss does not count
    assert cache.occupancy()["headgate_cache_unreadable"]() == len(entries) + 1  # as the metrics show it
    assert await cache.put("key", whole(), 60.0) is True  # and it is replaced
    assert await cache.get("key") == whole()


async def test_no_more_is_read_than_an_entry_may_have(client: RedisClient, server: RedisServer) -> None:
    """K5: a foreign value of 50 MB under the key costs what the largest answer costs."""
    cache = RedisCache(client, max_entry_bytes=10_000)
    await client.execute_bulk("SETRANGE", PREFIX + "key", 50_000_000, "x", timeout=5.0)
    before = int((await server.info("stats"))["total_net_output_bytes"])
    assert await cache.get("key") is None
    assert int((await server.info("stats"))["total_net_output_bytes"]) - before < 120_000
    assert cache.unreadable == 1


async def test_an_answer_too_large_in_its_encoded_form_is_refused(client: RedisClient) -> None:
    """K5: its `size` may leave things out (reasoning, arguments of tools)."""
    cache = RedisCache(client, max_entry_bytes=1_000)
    assert await cache.put("key", Answer((Delta(reasoning="x" * 100_000),), 500), 60.0) is False
    assert await cache.get("key") is None


async def test_a_large_answer_is_packed_in_a_thread(client: RedisClient) -> None:
    cache = RedisCache(client, max_entry_bytes=4 * MIB)
    large = Answer(tuple(Delta(text=f"{number * 7919}", raw=b"%d" % number * 40) for number in range(8_000)), 2 * MIB)
    assert await cache.put("key", large, 60.0) is True
    assert await cache.get("key") == large


async def test_an_entry_lives_for_its_ttl_on_the_server(client: RedisClient) -> None:
    cache = RedisCache(client, max_entry_bytes=1_000)
    await cache.put("key", whole(), 12.5)
    left = await client.execute("PTTL", PREFIX + "key")
    assert isinstance(left, int)
    assert 12_000 < left <= 12_500


async def test_a_full_redis_drops_the_write_and_serves_the_reads(client: RedisClient, server: RedisServer) -> None:
    """Fault 16."""
    cache = RedisCache(client, max_entry_bytes=10_000)
    await cache.put("kept", whole(), 60.0)
    await server.command("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
    with pytest.raises(CacheError) as raised:
        await cache.put("key", whole(), 60.0)
    await server.command("CONFIG", "SET", "maxmemory", 0)
    assert raised.value.details["word"] == "OOM"
    assert await cache.get("kept") == whole()


async def test_flushall_is_a_miss(client: RedisClient) -> None:
    """Fault 21."""
    cache = RedisCache(client, max_entry_bytes=10_000)
    await cache.put("key", whole(), 60.0)
    await client.execute("FLUSHALL", timeout=1.0)
    assert await cache.get("key") is None
    assert cache.unreadable == 0


async def only_cache_errors(cache: RedisCache) -> None:
    """Whatever is asked of it, for as long as the backend is unplugged."""
    secret = "a-secret-prompt"
    for _ in range(20):
        for work in (cache.get(secret), cache.put(secret, whole(secret), 60.0)):
            with pytest.raises(CacheConnectionError) as raised:
                await work
            assert secret not in f"{raised.value!r} {raised.value.__cause__!r}"


async def test_unplugged_fakeredis() -> None:
    fake = FakeServer()
    pool = FakeRedis(server=fake, protocol=2).connection_pool
    async with redis_client(pool.make_connection) as client:
        cache = RedisCache(client, max_entry_bytes=10_000)
        await cache.put("key", whole(), 60.0)
        fake.connected = False
        await only_cache_errors(cache)


@pytest.mark.parametrize("fault", ["kill", "hang"])
async def test_unplugged_server(fault: str) -> None:
    """K5: no look-up takes longer than 50 ms, and after the first few none takes any time."""
    with RedisServer() as server:
        async with redis_client(connector(server.url), pool_min=2) as client:
            cache = RedisCache(client, max_entry_bytes=10_000)
            await cache.put("key", whole(), 60.0)
            if fault == "kill":
                server.kill()
            else:
                server.pause()
            times = []
            for _ in range(50):
                async with loop_time() as passed:
                    with pytest.raises(CacheConnectionError):
                        await cache.get("key")
                times.append(passed.seconds)
            assert max(times) < 0.15  # 50 ms, and what a busy machine adds
            assert sum(times) < 0.4
            await only_cache_errors(cache)
            if fault == "hang":
                server.resume()
                async with asyncio.timeout(4.0):
                    while not client.healthy:  # noqa: ASYNC110 - the client tells nobody here
                        await asyncio.sleep(0.01)
                assert await cache.get("key") == whole()
