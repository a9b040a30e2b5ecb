"""Gauges: read when scraped, those that cannot be read left out, and what the memory adapters tell of themselves."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest

from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.memory.cache import MemoryCache
from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.slots import MemorySlots
from adapters.memory.stream_log import MemoryStreamLog
from adapters.observability.exposition import ProcessExposition
from adapters.observability.gauges import GAUGES, GaugeCollector
from domain.events import Answer
from domain.model import BreakerState, Caller, Cost, StreamInfo, Tier
from tests.jobs import message

CALLER = Caller("acme")


@dataclass(frozen=True)
class Statistics:
    stage: str
    count: int
    p50: float
    p95: float
    p99: float


def test_a_gauge_is_read_at_each_scrape_and_not_before() -> None:
    values = [3.0, 1.0]
    registry = CollectorRegistry()
    expose = ProcessExposition(registry, GaugeCollector({"headgate_queue_depth": values.pop}))
    assert len(values) == 2
    assert b"\nheadgate_queue_depth 1.0\n" in expose()[0]
    body, content_type = expose()
    assert b"\nheadgate_queue_depth 3.0\n" in body
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"headgate_slots_in_use" not in body


def test_stages_have_three_quantiles_and_a_count() -> None:
    registry = CollectorRegistry()
    registry.register(GaugeCollector({}, lambda: [Statistics("2.0_CACHE_LOOKUP", 7, 0.1, 0.2, 0.3)]))

    def seconds(quantile: str) -> float | None:
        labels = {"stage": "2.0_CACHE_LOOKUP", "quantile": quantile}
        return registry.get_sample_value("headgate_stage_duration_seconds", labels)

    assert [seconds(quantile) for quantile in ("0.5", "0.95", "0.99")] == [0.1, 0.2, 0.3]
    assert registry.get_sample_value("headgate_stage_tracked", {"stage": "2.0_CACHE_LOOKUP"}) == 7


async def test_the_memory_adapters_tell_how_full_they_are() -> None:
    clock = ManualClock()
    slots = MemorySlots(10, lambda _: 10)
    queue = MemoryMessageQueue(10, 10)
    log = MemoryStreamLog(clock, max_bytes=1_000_000)
    cache = MemoryCache(clock, 1_000, 10, 1_000)
    limiter = MemoryLimiter(clock, {"default": Tier(10, 10, 10)})
    board = MemoryBreakerBoard(clock)
    adapters = (slots, queue, log, cache, limiter, board)
    readings = {name: read for adapter in adapters for name, read in adapter.occupancy().items()}
    assert set(readings) <= set(GAUGES)
    assert {read() for read in readings.values()} == {0}

    await slots.acquire(CALLER, "a")
    await queue.put(message("acme", "b"))
    await log.open(StreamInfo("s", "e", "fast", 0, "t"))
    await cache.put("key", Answer((), 100), 60.0)
    await limiter.admit(CALLER, Cost())
    await board.publish("local/llama-3", BreakerState(clock.monotonic() + 60, 1))
    values = {name: read() for name, read in readings.items()}
    assert values.pop("headgate_stream_log_bytes") > 0
    assert values == {
        "headgate_slots_in_use": 1,
        "headgate_queue_depth": 1,
        "headgate_stream_log_streams": 1,
        "headgate_cache_entries": 1,
        "headgate_cache_bytes": 100,
        "headgate_limiter_callers": 1,
        "headgate_open_breakers": 1,
    }


def test_every_gauge_has_a_help_text_that_the_scrape_shows() -> None:
    registry = CollectorRegistry()
    registry.register(GaugeCollector({name: lambda: 1.0 for name, row in GAUGES.items() if not row.labels}))
    exposed = generate_latest(registry).decode()
    for name, row in GAUGES.items():
        assert f"# HELP {name} {row.help}\n# TYPE {name} gauge\n" in exposed
