"""What only the cache in memory promises: the least recently used answer goes first, and for any use exactly so."""

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.memory.cache import MemoryCache
from adapters.memory.manual_clock import ManualClock
from domain.events import Answer
from domain.model import Complete


def answer(number: int, size: int) -> Answer:
    return Answer((Complete(str(number), None, "m", "p/m"),), size)


KEYS = "abcdef"
steps = st.tuples(st.sampled_from(["put", "put", "get", "wait"]), st.sampled_from(KEYS), st.integers(0, 60))


@given(history=st.lists(steps, max_size=60))
@settings(max_examples=200)
async def test_any_use_is_that_of_a_plain_list_in_order_of_use(history: list[tuple[str, str, int]]) -> None:
    """K5: against a model: `used` has the least recently used first, and never weighs more than the bound."""
    clock = ManualClock()
    cache = MemoryCache(clock, max_bytes=100, max_entries=3, max_entry_bytes=50)
    used: list[tuple[str, Answer, float]] = []
    for number, (step, key, value) in enumerate(history):
        now = clock.monotonic()
        own = next((one for one in used if one[0] == key), None)
        if step == "wait":
            await clock.advance(value / 10)
        elif step == "get":
            fresh = own if own is not None and own[2] > now else None
            assert await cache.get(key) == (fresh[1] if fresh else None)
            used = [one for one in used if one is not own] + ([fresh] if fresh else [])
        else:
            assert await cache.put(key, answer(number, value), 10.0) is (value <= 50)
            if value <= 50:
                used = [one for one in used if one is not own] + [(key, answer(number, value), now + 10.0)]
                while sum(one[1].size for one in used) > 100 or len(used) > 3:
                    del used[0]
        assert cache._bytes == sum(one[1].size for one in used) <= 100
        assert list(cache._entries) == [one[0] for one in used]


async def test_no_entry_is_larger_than_the_whole_cache() -> None:
    """K5: whatever the bound of an entry says."""
    clock = ManualClock()
    cache = MemoryCache(clock, max_bytes=100, max_entries=10, max_entry_bytes=1_000)
    assert await cache.put("small", answer(1, 10), 60.0) is True
    assert await cache.put("large", answer(2, 101), 60.0) is False
    assert await cache.get("small") == answer(1, 10)


async def test_an_expired_answer_is_dropped_when_it_is_asked_for() -> None:
    """K5."""
    clock = ManualClock()
    cache = MemoryCache(clock, max_bytes=100, max_entries=10, max_entry_bytes=100)
    await cache.put("key", answer(1, 100), 10.0)
    await clock.advance(10.0)
    assert await cache.get("key") is None
    assert (cache._bytes, len(cache._entries)) == (0, 0)
