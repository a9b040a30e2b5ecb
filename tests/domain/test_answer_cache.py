"""Two tiers of answers, and what may be in them (K1, K4, K5)."""

import pytest

from adapters.memory.cache import MemoryCache
from adapters.memory.manual_clock import ManualClock
from domain.delta import MORE, Delta, Dialect, Shape, ToolCallDelta, Usage
from domain.errors import CacheConnectionError
from domain.events import Answer
from domain.model import CacheStatus, Caller, Complete
from domain.services.answer_cache import AnswerCache, CachePolicy
from domain.services.execution_tracker import ExecutionTracker
from domain.services.request_key import request_key
from ports.cache import Cache
from tests.domain.parts import ask

DELTAS = [Delta("a"), Delta("b", finish_reason="stop")]
COMPLETE = Complete("stop", None, "m", "p/m")


class Unplugged(Cache):
    """A cache whose backend is gone."""

    async def get(self, key: str) -> Answer | None:
        """Fails."""
        raise CacheConnectionError("unplugged")

    async def put(self, key: str, answer: Answer, ttl: float) -> bool:
        """Fails."""
        raise CacheConnectionError("unplugged")


def memory() -> MemoryCache:
    return MemoryCache(ManualClock(), max_bytes=2**20, max_entries=10, max_entry_bytes=2**20)


def tiers(l1: Cache, l2: Cache | None = None, **policy: bool) -> tuple[AnswerCache, ExecutionTracker]:
    tracker = ExecutionTracker(ManualClock(), sample_rate=1.0)
    return AnswerCache(tracker, CachePolicy(**policy), l1, l2), tracker


async def test_an_answer_of_l2_is_a_hit_and_comes_into_l1() -> None:
    l1, l2 = memory(), memory()
    await tiers(memory(), l2)[0].put("k", DELTAS, COMPLETE)
    cache, tracker = tiers(l1, l2)
    found = await cache.get("k", "t")
    assert found is not None
    assert (list(found[0]), found[1]) == ([*DELTAS, COMPLETE], CacheStatus.HIT_L2)
    again = await cache.get("k", "t")
    assert again is not None
    assert again[1] is CacheStatus.HIT_L1
    assert [name for name, _ in tracker.stage_seconds("t")] == [
        "2.1_L1_CACHE_LOOKUP",
        "2.2_L2_CACHE_LOOKUP",
        "2.1_L1_CACHE_LOOKUP",
    ]
    assert await cache.get("other", "t") is None


async def test_a_tier_that_fails_is_a_miss_never_an_error_k5() -> None:
    both, tracker = tiers(Unplugged(), Unplugged())
    await both.put("k", DELTAS, COMPLETE)
    assert await both.get("k", "t") is None
    assert [stage.code for stage in tracker.get_execution_summary("t").stages] == ["cache_connection_error"] * 2
    l1 = memory()
    half, _ = tiers(l1, Unplugged())
    await half.put("k", DELTAS, COMPLETE)
    found = await half.get("k", "t")
    assert found is not None
    assert found[1] is CacheStatus.HIT_L1


async def test_what_was_filtered_is_not_stored_k1() -> None:
    l1 = memory()
    await tiers(l1)[0].put("k", DELTAS, Complete("content_filter", None, "m", "p/m"))
    assert await l1.get("k") is None


async def test_who_has_no_key_is_not_shared_k2_k4() -> None:
    acme, other = Caller("acme"), Caller("other")
    assert await tiers(memory(), enabled=False)[0].key(acme, ask()) is None
    sampled, _ = tiers(memory(), exclude_sampled=True)
    assert await sampled.key(acme, ask()) is None
    assert await sampled.key(acme, ask(temperature=0)) is not None
    own, _ = tiers(memory())
    assert await own.key(acme, ask()) != await own.key(other, ask())
    shared, _ = tiers(memory(), shared_across_tenants=True)
    assert await shared.key(acme, ask()) == await shared.key(other, ask())


async def test_a_key_is_made_of_json_alone() -> None:
    with pytest.raises(TypeError, match="object"):
        await request_key("t", ask(odd=object()))


RAW = Shape(b"{}", None, Dialect.OPENAI)
SAYS = [
    Delta("a"),
    Delta(tool_calls=(ToolCallDelta(0, "c", "f", "{}"),)),
    Delta(extra=b'{"images":[1]}'),
    Delta("", b"{}", Dialect.OPENAI, extra=MORE),
    Delta("", b"{}", Dialect.OPENAI, usage=Usage(1, 2), extra=MORE),
    Delta.shaped("", RAW._replace(plain=False)),
]
SAYS_NOTHING = [
    Delta(role="assistant"),
    Delta(" \n"),
    Delta(reasoning="hm"),
    Delta(extra=b'{"reasoning_details":[]}'),
    Delta(usage=Usage(1, 0)),
    Delta.shaped("", RAW),
]


@pytest.mark.parametrize("said", SAYS)
async def test_an_answer_that_says_something_is_stored_k1(said: Delta) -> None:
    cache, _ = tiers(memory())
    await cache.put("k", [*SAYS_NOTHING, said, Delta(finish_reason="stop")], COMPLETE)
    assert await cache.get("k", "t") is not None


async def test_an_empty_answer_is_never_stored_k1() -> None:
    cache, _ = tiers(memory())
    await cache.put("k", [*SAYS_NOTHING, Delta(finish_reason="stop")], COMPLETE)
    assert await cache.get("k", "t") is None
