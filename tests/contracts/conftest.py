"""The tables of adapters: a new adapter is one more row here, and runs the whole suite of its port.

The fixtures give functions, not adapters: a property test opens a fresh adapter for each example.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
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
from adapters.redis.breaker_board import RedisBreakerBoard
from adapters.redis.cache import RedisCache
from adapters.redis.connection import Connector, connector
from adapters.redis.limiter import OutagePolicy, RedisLimiter
from adapters.redis.limiter_lease import LeasingLimiter
from adapters.redis.queue import RedisMessageQueue
from adapters.redis.slots import RedisSlots
from adapters.redis.stream_log import RedisStreamLog
from domain.model import Event, Lease, Position, StreamInfo, Tier
from ports.breaker_board import BreakerBoard
from ports.cache import Cache
from ports.clock import Clock
from ports.limiter import Limiter
from ports.queue import MessageQueue
from ports.recorder import Recorder
from ports.slots import Slots
from ports.stream_log import Reader, StreamLog
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
from tests.contracts.redis_time import still_client
from tests.redis_breakers import breakers_later
from tests.redis_cases import Patient, later, redis_client
from tests.redis_server import any_redis_url
from tests.service import until


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
    async with redis_client(connect, kind=Patient) as client:
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
async def redis_stream_logs(
    connect: Connector, count: int, *, retention: float = 600.0, max_stream_bytes: int = 16_000_000
) -> AsyncIterator[Case[list[RedisStreamLog]]]:
    """As many processes as that on one Redis."""
    clock = ManualClock()
    async with redis_client(connect, kind=Patient) as client:
        logs = [
            RedisStreamLog(client, clock, retention, max_bytes=100_000_000, max_stream_bytes=max_stream_bytes)
            for _ in range(count)
        ]
        for log in logs:
            log.start()

        async def advance(seconds: float) -> None:
            for _ in range(round(seconds)):
                await later(client, 1.0)
                await clock.advance(1.0)
                await until(lambda: all(log.idle for log in logs))

        try:
            yield Case(logs, advance)
        finally:
            for log in logs:
                await log.aclose()


@asynccontextmanager
async def redis_stream_log(
    connect: Connector, *, retention: float = 600.0, max_stream_bytes: int = 16_000_000
) -> AsyncIterator[Case[StreamLog]]:
    async with redis_stream_logs(connect, 1, retention=retention, max_stream_bytes=max_stream_bytes) as case:
        yield Case(case.adapter[0], case.advance)


class Elsewhere(StreamLog):
    """Written by one process, read on another."""

    def __init__(self, writing: RedisStreamLog, reading: RedisStreamLog) -> None:
        self.writing = writing
        self.reading = reading

    async def open(self, info: StreamInfo) -> Lease:
        lease = await self.writing.open(info)
        await until(lambda: self.writing.idle)
        return lease

    async def open_shared(self, info: StreamInfo, key: str) -> Lease | StreamInfo:
        return await self.writing.open_shared(info, key)

    def append(self, lease: Lease, events: Sequence[Event]) -> None:
        self.writing.append(lease, events)

    async def settle(self, lease: Lease) -> None:
        await self.writing.settle(lease)

    async def follow(self, stream_id: str, after: Position | None = None) -> Reader | None:
        return await self.reading.follow(stream_id, after)


@asynccontextmanager
async def redis_stream_log_elsewhere(
    connect: Connector, *, retention: float = 600.0, max_stream_bytes: int = 16_000_000
) -> AsyncIterator[Case[StreamLog]]:
    async with redis_stream_logs(connect, 2, retention=retention, max_stream_bytes=max_stream_bytes) as case:
        yield Case(Elsewhere(*case.adapter), case.advance)


@asynccontextmanager
async def memory_limiter(tiers: dict[str, Tier]) -> AsyncIterator[Case[Limiter]]:
    clock = ManualClock()
    yield Case(MemoryLimiter(clock, tiers), clock.advance)


@asynccontextmanager
async def redis_limiter(connect: Connector, tiers: dict[str, Tier]) -> AsyncIterator[Case[Limiter]]:
    clock = ManualClock()
    async with still_client(connect) as client:

        async def advance(seconds: float) -> None:
            await client.advance(seconds)
            await clock.advance(seconds)

        yield Case(RedisLimiter(client, clock, tiers, OutagePolicy.SHARE, replicas=1), advance)


@asynccontextmanager
async def redis_leasing_limiter(connect: Connector, tiers: dict[str, Tier]) -> AsyncIterator[Case[Limiter]]:
    clock = ManualClock()
    async with still_client(connect) as client:

        async def advance(seconds: float) -> None:
            await client.advance(seconds)
            await clock.advance(seconds)

        limiter = LeasingLimiter(client, clock, tiers, OutagePolicy.SHARE, replicas=1, calls=3)
        yield Case(limiter, advance)
        await limiter.aclose()


@asynccontextmanager
async def fakeredis_limiter(tiers: dict[str, Tier]) -> AsyncIterator[Case[Limiter]]:
    fake = FakeRedis(server=FakeServer(), protocol=2).connection_pool
    async with redis_limiter(fake.make_connection, tiers) as case:
        yield case


@asynccontextmanager
async def memory_slots(*, total: int, per_tier: dict[str, int]) -> AsyncIterator[Case[Slots]]:
    clock = ManualClock()
    yield Case(MemorySlots(total, lambda caller: per_tier[caller.tier]), clock.advance)


@asynccontextmanager
async def redis_slots(connect: Connector, *, total: int, per_tier: dict[str, int]) -> AsyncIterator[Case[Slots]]:
    clock = ManualClock()
    async with still_client(connect) as client:
        slots = RedisSlots(client, clock, total, lambda caller: per_tier[caller.tier])

        async def advance(seconds: float) -> None:
            for _ in range(round(seconds)):
                await client.advance(1.0)
                await clock.advance(1.0)
                await slots.synchronise()

        yield Case(slots, advance)


@asynccontextmanager
async def fakeredis_slots(*, total: int, per_tier: dict[str, int]) -> AsyncIterator[Case[Slots]]:
    fake = FakeRedis(server=FakeServer(), protocol=2).connection_pool
    async with redis_slots(fake.make_connection, total=total, per_tier=per_tier) as case:
        yield case


@asynccontextmanager
async def memory_queue(*, max_depth: int = 1_000, max_per_tenant: int = 1_000) -> AsyncIterator[Case[MessageQueue]]:
    clock = ManualClock()
    yield Case(MemoryMessageQueue(max_depth, max_per_tenant), clock.advance)


@asynccontextmanager
async def redis_queue(
    connect: Connector, *, max_depth: int = 1_000, max_per_tenant: int = 1_000
) -> AsyncIterator[Case[MessageQueue]]:
    async with redis_client(connect, kind=Patient) as client:
        yield Case(
            RedisMessageQueue(client, "process-1", max_depth, max_per_tenant, 10**6, 60.0), partial(later, client)
        )


@asynccontextmanager
async def fakeredis_queue(*, max_depth: int = 1_000, max_per_tenant: int = 1_000) -> AsyncIterator[Case[MessageQueue]]:
    fake = FakeRedis(server=FakeServer(), protocol=2).connection_pool
    async with redis_queue(fake.make_connection, max_depth=max_depth, max_per_tenant=max_per_tenant) as case:
        yield case


@asynccontextmanager
async def memory_breaker_board() -> AsyncIterator[Case[BreakerBoard]]:
    clock = ManualClock()
    yield Case(MemoryBreakerBoard(clock), clock.advance)


@asynccontextmanager
async def redis_breaker_board(connect: Connector) -> AsyncIterator[Case[BreakerBoard]]:
    clock = ManualClock()
    async with redis_client(connect, kind=Patient) as client:
        board = RedisBreakerBoard(client, clock)

        async def advance(seconds: float) -> None:
            await breakers_later(client, seconds)
            await clock.advance(seconds)
            await board.synchronise()

        yield Case(board, advance)


@asynccontextmanager
async def fakeredis_breaker_board() -> AsyncIterator[Case[BreakerBoard]]:
    fake = FakeRedis(server=FakeServer(), protocol=2).connection_pool
    async with redis_breaker_board(fake.make_connection) as case:
        yield case


@asynccontextmanager
async def memory_recorder() -> AsyncIterator[Case[Recorder]]:
    clock = ManualClock()
    yield Case(MemoryRecorder(100), clock.advance)


CLOCKS: dict[str, OpenClock] = {"system": system_clock, "manual": manual_clock}
CACHES: dict[str, OpenCache] = {"memory": memory_cache, "fakeredis": fakeredis_cache}
STREAM_LOGS: dict[str, OpenStreamLog] = {"memory": memory_stream_log}
LIMITERS: dict[str, OpenLimiter] = {"memory": memory_limiter, "fakeredis": fakeredis_limiter}
SLOTS: dict[str, OpenSlots] = {"memory": memory_slots, "fakeredis": fakeredis_slots}
QUEUES: dict[str, OpenQueue] = {"memory": memory_queue, "fakeredis": fakeredis_queue}
BREAKER_BOARDS: dict[str, OpenBreakerBoard] = {"memory": memory_breaker_board, "fakeredis": fakeredis_breaker_board}
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


ELSEWHERE = "server, read elsewhere"


@pytest.fixture(scope="session", params=[*STREAM_LOGS, SERVER, ELSEWHERE])
def open_stream_log(request: pytest.FixtureRequest) -> OpenStreamLog:
    if request.param == SERVER:
        return partial(redis_stream_log, connector(request.getfixturevalue("redis_url")))
    if request.param == ELSEWHERE:
        return partial(redis_stream_log_elsewhere, connector(request.getfixturevalue("redis_url")))
    return STREAM_LOGS[request.param]


@pytest.fixture(scope="session", params=[*LIMITERS, SERVER])
def open_limiter(request: pytest.FixtureRequest) -> OpenLimiter:
    if request.param == SERVER:
        return partial(redis_limiter, connector(request.getfixturevalue("redis_url")))
    return LIMITERS[request.param]


LEASED = "server, with leases"


@pytest.fixture(scope="session", params=[*LIMITERS, SERVER, LEASED])
def open_any_limiter(request: pytest.FixtureRequest) -> OpenLimiter:
    """Those with leases, too, which may admit a caller's next calls a second before their time."""
    if request.param == LEASED:
        return partial(redis_leasing_limiter, connector(request.getfixturevalue("redis_url")))
    if request.param == SERVER:
        return partial(redis_limiter, connector(request.getfixturevalue("redis_url")))
    return LIMITERS[request.param]


@pytest.fixture(scope="session", params=[*SLOTS, SERVER])
def open_slots(request: pytest.FixtureRequest) -> OpenSlots:
    if request.param == SERVER:
        return partial(redis_slots, connector(request.getfixturevalue("redis_url")))
    return SLOTS[request.param]


@pytest.fixture(scope="session", params=[*QUEUES, SERVER])
def open_queue(request: pytest.FixtureRequest) -> OpenQueue:
    if request.param == SERVER:
        return partial(redis_queue, connector(request.getfixturevalue("redis_url")))
    return QUEUES[request.param]


@pytest.fixture(scope="session", params=[*BREAKER_BOARDS, SERVER])
def open_breaker_board(request: pytest.FixtureRequest) -> OpenBreakerBoard:
    if request.param == SERVER:
        return partial(redis_breaker_board, connector(request.getfixturevalue("redis_url")))
    return BREAKER_BOARDS[request.param]


@pytest.fixture(scope="session", params=RECORDERS)
def open_recorder(request: pytest.FixtureRequest) -> OpenRecorder:
    return RECORDERS[request.param]
