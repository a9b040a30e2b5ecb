"""The tables of adapters: a new adapter is one more row here, and runs the whole suite of its port.

The fixtures give functions, not adapters: a property test opens a fresh adapter for each example.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from fakeredis import FakeServer
from fakeredis.aioredis import FakeRedis

from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.memory.cache import MemoryCache
from adapters.memory.clock import SystemClock
from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.recorder import MemoryRecorder
from adapters.memory.slots import MemorySlots
from adapters.memory.stream_log import MemoryStreamLog
from adapters.redis.cache import RedisCache
from adapters.redis.connection import Connector, connector
from domain.model import Tier
from ports.breaker_board import BreakerBoard
from ports.cache import Cache
from ports.clock import Clock
from ports.limiter import Limiter
from ports.queue import MessageQueue
from ports.recorder import Recorder
from ports.slots import Slots
from ports.stream_log import StreamLog
from tests.contracts.cases import (
    Case,
    OpenBreakerBoard,
    OpenCache,
    OpenClock,
    OpenLimiter,
    OpenQueue,
    OpenRecorder,
    OpenSlots,
    OpenStreamLog,
)
from tests.redis_cases import later, redis_client
from tests.redis_server import any_redis_url


@asynccontextmanager
async def system_clock() -> AsyncIterator[Case[Clock]]:
    yield Case(SystemClock(), asyncio.sleep)


@asynccontextmanager
async def manual_clock() -> AsyncIterator[Case[Clock]]:
    clock = ManualClock()
    yield Case(clock, clock.advance)


@asynccontextmanager
async def memory_cache(
    *, max_bytes: int = 1_000_000, max_entries: int = 1_000, max_entry_bytes: int = 1_000_000
) -> AsyncIterator[Case[Cache]]:
    clock = ManualClock()
    yield Case(MemoryCache(clock, max_bytes, max_entries, max_entry_bytes), clock.advance)


@asynccontextmanager
async def redis_cache(
    connect: Connector, *, max_bytes: int = 1_000_000, max_entries: int = 1_000, max_entry_bytes: int = 1_000_000
) -> AsyncIterator[Case[Cache]]:
    async with redis_client(connect) as client:
        yield Case(RedisCache(client, max_entry_bytes), partial(later, client))


@asynccontextmanager
async def fakeredis_cache(
    *, max_bytes: int = 1_000_000, max_entries: int = 1_000, max_entry_bytes: int = 1_000_000
) -> AsyncIterator[Case[Cache]]:
    fake = FakeRedis(server=FakeServer(), protocol=2).connection_pool
    async with redis_cache(fake.make_connection, max_entry_bytes=max_entry_bytes) as case:
        yield case


@asynccontextmanager
async def memory_stream_log(
    *, retention: float = 600.0, max_stream_bytes: int = 16_000_000
) -> AsyncIterator[Case[StreamLog]]:
    clock = ManualClock()
    log = MemoryStreamLog(clock, retention, max_bytes=100_000_000, max_stream_bytes=max_stream_bytes)
    yield Case(log, clock.advance)


@asynccontextmanager
async def memory_limiter(tiers: dict[str, Tier]) -> AsyncIterator[Case[Limiter]]:
    clock = ManualClock()
    yield Case(MemoryLimiter(clock, tiers), clock.advance)


@asynccontextmanager
async def memory_slots(*, total: int, per_tier: dict[str, int]) -> AsyncIterator[Case[Slots]]:
    clock = ManualClock()
    yield Case(MemorySlots(total, lambda caller: per_tier[caller.tier]), clock.advance)


@asynccontextmanager
async def memory_queue(*, max_depth: int = 1_000, max_per_tenant: int = 1_000) -> AsyncIterator[Case[MessageQueue]]:
    clock = ManualClock()
    yield Case(MemoryMessageQueue(max_depth, max_per_tenant), clock.advance)


@asynccontextmanager
async def memory_breaker_board() -> AsyncIterator[Case[BreakerBoard]]:
    clock = ManualClock()
    yield Case(MemoryBreakerBoard(clock), clock.advance)


@asynccontextmanager
async def memory_recorder() -> AsyncIterator[Case[Recorder]]:
    clock = ManualClock()
    yield Case(MemoryRecorder(100), clock.advance)


CLOCKS: dict[str, OpenClock] = {"system": system_clock, "manual": manual_clock}
CACHES: dict[str, OpenCache] = {"memory": memory_cache, "fakeredis": fakeredis_cache}
STREAM_LOGS: dict[str, OpenStreamLog] = {"memory": memory_stream_log}
LIMITERS: dict[str, OpenLimiter] = {"memory": memory_limiter}
SLOTS: dict[str, OpenSlots] = {"memory": memory_slots}
QUEUES: dict[str, OpenQueue] = {"memory": memory_queue}
BREAKER_BOARDS: dict[str, OpenBreakerBoard] = {"memory": memory_breaker_board}
RECORDERS: dict[str, OpenRecorder] = {"memory": memory_recorder}


@pytest.fixture(scope="session", params=CLOCKS)
def open_clock(request: pytest.FixtureRequest) -> OpenClock:
    return CLOCKS[request.param]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with any_redis_url() as url:
        yield url


SERVER = "server"
"""The rows that need a real Redis; where it and fakeredis differ, it decides."""


@pytest.fixture(scope="session", params=[*CACHES, SERVER])
def open_cache(request: pytest.FixtureRequest) -> OpenCache:
    if request.param == SERVER:
        return partial(redis_cache, connector(request.getfixturevalue("redis_url")))
    return CACHES[request.param]


@pytest.fixture(scope="session", params=STREAM_LOGS)
def open_stream_log(request: pytest.FixtureRequest) -> OpenStreamLog:
    return STREAM_LOGS[request.param]


@pytest.fixture(scope="session", params=LIMITERS)
def open_limiter(request: pytest.FixtureRequest) -> OpenLimiter:
    return LIMITERS[request.param]


@pytest.fixture(scope="session", params=SLOTS)
def open_slots(request: pytest.FixtureRequest) -> OpenSlots:
    return SLOTS[request.param]


@pytest.fixture(scope="session", params=QUEUES)
def open_queue(request: pytest.FixtureRequest) -> OpenQueue:
    return QUEUES[request.param]


@pytest.fixture(scope="session", params=BREAKER_BOARDS)
def open_breaker_board(request: pytest.FixtureRequest) -> OpenBreakerBoard:
    return BREAKER_BOARDS[request.param]


@pytest.fixture(scope="session", params=RECORDERS)
def open_recorder(request: pytest.FixtureRequest) -> OpenRecorder:
    return RECORDERS[request.param]
