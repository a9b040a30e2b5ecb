"""The contract of the cache port."""

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.delta import Delta, Dialect, ToolCallDelta, Usage
from domain.events import Answer
from domain.model import Complete
from tests.contracts.cases import OpenCache


def answer(text: str, size: int = 100) -> Answer:
    return Answer((Delta(text=text), Complete("stop", Usage(1, 2), "m", "p/m")), size)


async def test_what_was_put_is_got_with_every_field(open_cache: OpenCache) -> None:
    """K3: tool calls and reasoning included."""
    call = ToolCallDelta(0, "call_1", "look_up", '{"q": "caf\u00e9"', b'{"signed":1}')
    first = Delta("a\u2028\x00\ud800", b'{"x":"\\u2028"}', Dialect.OPENAI, 1, "assistant", "why", (call,))
    last = Delta(finish_reason="tool_calls", usage=Usage(3, 4, 2, 1), model="m-2", extra=b'{"signed":2}')
    whole = Answer((first, last, Complete("tool_calls", Usage(3, 4), "m-2", "p/m-2")), 512)
    async with open_cache() as (cache, _):
        assert await cache.put("key", whole, 60.0) is True
        assert await cache.get("key") == whole


async def test_a_key_that_was_never_put_gives_none(open_cache: OpenCache) -> None:
    async with open_cache() as (cache, _):
        await cache.put("one", answer("1"), 60.0)
        assert await cache.get("two") is None
        assert await cache.get("") is None


async def test_the_last_put_of_a_key_counts(open_cache: OpenCache) -> None:
    async with open_cache() as (cache, _):
        await cache.put("key", answer("old"), 60.0)
        await cache.put("key", answer("new"), 60.0)
        assert await cache.get("key") == answer("new")


async def test_an_answer_is_kept_for_its_ttl_and_no_longer(open_cache: OpenCache) -> None:
    async with open_cache() as (cache, advance):
        await cache.put("short", answer("s"), 10.0)
        await cache.put("long", answer("l"), 20.0)
        await advance(9.0)
        assert await cache.get("short") == answer("s")
        await advance(1.0)  # a look-up does not lengthen a life
        assert await cache.get("short") is None
        assert await cache.get("long") == answer("l")


async def test_a_second_put_begins_a_new_life(open_cache: OpenCache) -> None:
    async with open_cache() as (cache, advance):
        await cache.put("key", answer("1"), 10.0)
        await advance(9.0)
        await cache.put("key", answer("2"), 10.0)
        await advance(9.0)
        assert await cache.get("key") == answer("2")


async def test_an_answer_larger_than_the_cache_takes_is_refused_and_nothing_is_lost(open_cache: OpenCache) -> None:
    """K5: bounded by bytes."""
    async with open_cache(max_entry_bytes=100) as (cache, _):
        await cache.put("other", answer("other"), 60.0)
        assert await cache.put("key", answer("fits", 100), 60.0) is True
        assert await cache.put("key", answer("large", 101), 60.0) is False
        assert await cache.get("key") == answer("fits", 100)
        assert await cache.get("other") == answer("other")


KEYS = "abcdef"
puts = st.tuples(st.just("put"), st.sampled_from(KEYS), st.integers(0, 60))
gets = st.tuples(st.just("get"), st.sampled_from(KEYS), st.just(0))
waits = st.tuples(st.just("wait"), st.just(""), st.integers(0, 10))


@given(steps=st.lists(puts | gets | waits, max_size=40))
@settings(deadline=None, max_examples=150)
async def test_any_use_gives_only_what_was_put_last(open_cache: OpenCache, steps: list[tuple[str, str, int]]) -> None:
    """K5: for any sequence of puts, gets and pauses. The bound of the whole is tested with each store."""
    put: dict[str, tuple[Answer, int]] = {}
    now = 0
    async with open_cache(max_bytes=100, max_entries=4, max_entry_bytes=50) as (cache, advance):
        for number, (step, key, value) in enumerate(steps):
            if step == "put":
                fresh = answer(str(number), value)
                stored = await cache.put(key, fresh, 10.0)
                assert stored is (value <= 50)
                if stored:
                    put[key] = fresh, now + 10
            elif step == "wait":
                await advance(value)
                now += value
            else:
                found = await cache.get(key)
                assert found is None or (found == put[key][0] and now < put[key][1])
