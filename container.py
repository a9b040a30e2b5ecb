"""The one file that names concrete classes: what is plugged into what.

container = Container(settings=get_settings())
container.limiter.override(providers.Object(my_limiter))     # any adapter, in a test or a fork
service = container.stream_service()
"""

import os
import random
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from dependency_injector import containers, providers
from prometheus_client import CollectorRegistry

from adapters.answer_bounds import AnswerBounds, EventRoom
from adapters.key_file import FileApiKeys
from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.memory.cache import MemoryCache
from adapters.memory.clock import SystemClock
from adapters.memory.dead_letters import MemoryDeadLetters
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.slots import MemorySlots
from adapters.memory.stream_log import MemoryStreamLog
from adapters.observability.defects import PrometheusDefects
from adapters.observability.exposition import DIRECTORY, ProcessExposition, WorkersExposition, shared_directory
from adapters.observability.gauges import GaugeCollector
from adapters.observability.key_state import log_key_warning
from adapters.observability.model_lists import ModelListFailures
from adapters.observability.recording import metrics_registry_of, recorder_of, tracing_of
from adapters.observability.redis_state import log_redis_state
from adapters.observability.refusals import LoggedRefusals
from adapters.observability.watchdog import LoopWatchdog
from adapters.providers.capabilities import capabilities_by
from adapters.redis.breaker_board import RedisBreakerBoard
from adapters.redis.cache import RedisCache
from adapters.redis.client import RedisClient, Timing
from adapters.redis.configured import client_of, limiter_of
from adapters.redis.dead_letters import RedisDeadLetters
from adapters.redis.fleet import RedisFleet
from adapters.redis.keys import RedisApiKeys
from adapters.redis.queue import RedisMessageQueue
from adapters.redis.slots import RedisSlots
from adapters.redis.stream_log import RedisStreamLog
from adapters.registry import Registry, bind_providers
from adapters.settings import Settings
from domain import stages
from domain.fair_line import FairLine
from domain.model import Caller, Tier
from domain.services.admission import Admission
from domain.services.answer_cache import AnswerCache, CachePolicy
from domain.services.attempts import Attempts
from domain.services.breaker_state import BreakerPolicy
from domain.services.callers import Callers
from domain.services.circuit_breaker import CircuitBreakers
from domain.services.execution_tracker import ExecutionTracker
from domain.services.generations import Generations
from domain.services.key_refresh import KeyRefresh
from domain.services.model_catalogue import ModelCatalogue
from domain.services.replay import Replay
from domain.services.routing import RetryPolicy, Router
from domain.services.stream_ids import StreamIds
from domain.services.streams import StreamService
from domain.services.sweeper import Sweeper
from domain.services.target_permits import TargetPermits, WaitingCall
from domain.services.timeouts import StreamTimeouts, Timeouts
from domain.tiers import ByTier
from entrypoints.http.server.connections import Connections
from entrypoints.http.server.limits import ConnectionBounds, ConnectionLimits, open_files
from ports.breaker_board import BreakerBoard
from ports.cache import Cache
from ports.clock import Clock
from ports.dead_letters import DeadLetters
from ports.defects import Defects
from ports.fleet import Fleet
from ports.keys import ApiKey, ApiKeys
from ports.limiter import Limiter
from ports.occupancy import Occupancy
from ports.provider import Provider
from ports.queue import MessageQueue
from ports.refusals import Refusals
from ports.slots import Slots
from ports.stream_log import StreamLog

L1_MAX_ENTRIES = 100_000
L1_MAX_ENTRY_SHARE = 16
"""No answer may fill more of the cache than this part of it."""
L2_MAX_ENTRY_BYTES = 4 << 20
ANSWER_TIMES = 2
"""A stream may hold so many times the bytes of an answer: its text, and the provider's own JSON around it."""
SHARED_THREAD = "~redis"
"""No caller's: theirs begin with a letter or a digit."""
PROBE_MARGIN = 5.0
"""Seconds that the lease of a probe lasts longer than the call may take to its first event (B3)."""
QUEUE_TENANT_SHARE = 2
"""No caller may take more than this part of the queue (Q1)."""


def _answer_bounds(settings: Settings) -> AnswerBounds:
    return AnswerBounds(settings.stream.max_answer_bytes, EventRoom(settings.stream.log_max_bytes))


def _providers(settings: Settings, clock: Clock, bounds: AnswerBounds) -> Mapping[str, Provider]:
    bound = bind_providers(Registry[Provider]("headgate.providers"), settings.providers, clock, bounds)
    return {name: make() for name, make in bound.items()}


def _largest_entry(settings: Settings) -> int:
    return settings.cache.l1_max_bytes // L1_MAX_ENTRY_SHARE


def _longest_line(settings: Settings) -> int:
    return max(1, settings.queue.max_depth // QUEUE_TENANT_SHARE)


def _tier_of(settings: Settings) -> Callable[[Caller], Tier]:
    tiers = ByTier(settings.tiers)
    return lambda caller: tiers[caller.tier]


def _slots(settings: Settings, clock: Clock, client: RedisClient | None, defects: Defects) -> Slots:
    total, tier = settings.stream.max_concurrent, _tier_of(settings)

    def per_caller(caller: Caller) -> int:
        return tier(caller).max_concurrent_streams

    return MemorySlots(total, per_caller) if client is None else RedisSlots(client, clock, total, per_caller, defects)


def _queue(settings: Settings, client: RedisClient | None, log: StreamLog) -> MessageQueue:
    depth, line = settings.queue.max_depth, _longest_line(settings)
    if client is None or not isinstance(log, RedisStreamLog):
        return MemoryMessageQueue(depth, line)
    return RedisMessageQueue(client, log.process, depth, line, settings.stream.max_concurrent, settings.queue.max_wait)


def _permits(
    settings: Settings, clock: Clock, log: StreamLog, sweeper: Sweeper, defects: Defects
) -> TargetPermits | None:
    if not settings.stream.adaptive_concurrency:
        return None
    queue, most = settings.queue, settings.stream.max_concurrent

    def line() -> FairLine[WaitingCall]:
        return FairLine(queue.max_depth, _longest_line(settings))

    return TargetPermits(clock, log, sweeper, line, _tier_of(settings), wait=queue.max_wait, most=most, defects=defects)


def _dead_letters(client: RedisClient | None) -> DeadLetters:
    return MemoryDeadLetters() if client is None else RedisDeadLetters(client)


def _callers(settings: Settings) -> Callers:
    configured = [ApiKey(name, row.sha256, row.tenant, row.tier) for name, row in settings.keys.items()]
    return Callers(configured, settings.tiers)


def _api_keys(settings: Settings, client: RedisClient | None) -> ApiKeys:
    return FileApiKeys(settings.access.keys_path) if client is None else RedisApiKeys(client)


def _metrics(
    registry: CollectorRegistry,
    generations: Generations,
    tracker: ExecutionTracker,
    sweeper: Sweeper,
    defects: Defects,
    *adapters: object,
) -> Callable[[], tuple[bytes, str]]:
    readings: dict[str, Callable[[], float]] = {
        "headgate_open_generations": generations.__len__,
        "headgate_event_loop_lag_seconds": sweeper.take_lag,
    }
    for adapter in adapters:
        if isinstance(adapter, Occupancy):
            readings |= adapter.occupancy()
    gauges = GaugeCollector(readings, tracker.get_stage_statistics, defects)
    directory = shared_directory(os.environ.get(DIRECTORY))
    if directory is None:
        return ProcessExposition(registry, gauges)
    return WorkersExposition(directory, gauges, sweeper.alarm)


def _redis_timing(tracker: ExecutionTracker) -> Timing:
    """What no request waits for by itself (a group commit serves many) is timed in a thread of its own."""
    tracker.force(SHARED_THREAD)

    def timing(stage: str, name: str) -> AbstractContextManager[object]:
        if stages.CURRENT_STAGE.get() is None:
            return tracker.track_stage(stage, name, SHARED_THREAD)
        return tracker.track_substage(stage, name)

    return timing


def _connections(
    settings: Settings,
    clock: Clock,
    sweeper: Sweeper,
    limits: ConnectionLimits,
    bounds: ConnectionBounds,
    refusals: Refusals,
    defects: Defects,
) -> Connections:
    return Connections(clock, sweeper, limits, bounds, settings.access.proxies, refusals, defects)


def _l2(client: RedisClient | None) -> Cache | None:
    return None if client is None else RedisCache(client, L2_MAX_ENTRY_BYTES)


def _stream_log(settings: Settings, clock: Clock, client: RedisClient | None, defects: Defects) -> StreamLog:
    retention, max_bytes = settings.stream.retention, settings.stream.log_max_bytes
    each = ANSWER_TIMES * settings.stream.max_answer_bytes
    if client is None:
        return MemoryStreamLog(clock, retention, max_bytes=max_bytes, max_stream_bytes=each, defects=defects)
    wait = settings.queue.max_wait
    return RedisStreamLog(
        client, clock, retention, max_bytes=max_bytes, max_stream_bytes=each, max_wait=wait, defects=defects
    )


def _breaker_board(clock: Clock, client: RedisClient | None, defects: Defects) -> BreakerBoard:
    return MemoryBreakerBoard(clock) if client is None else RedisBreakerBoard(client, clock, defects)


def _timeouts(settings: Settings) -> Timeouts:
    """The group `stream` and the rows of `targets` call their limits alike."""
    stream = settings.stream

    def limits(own: Mapping[str, float]) -> StreamTimeouts:
        return StreamTimeouts(
            own.get("first_event_timeout", stream.first_event_timeout),
            own.get("first_event_timeout_last", stream.first_event_timeout_last),
            own.get("idle_timeout", stream.idle_timeout),
            own.get("total_timeout", stream.total_timeout),
        )

    return Timeouts(limits({}), {target: limits(row) for target, row in settings.targets.items()})


def _breakers(
    timeouts: Timeouts, clock: Clock, board: BreakerBoard, policy: BreakerPolicy, defects: Defects
) -> CircuitBreakers:
    def probe_seconds(target: str) -> float:
        return timeouts.of(target).probe + PROBE_MARGIN

    breakers = CircuitBreakers(clock, board, policy, probe_seconds, defects=defects)
    if isinstance(board, RedisBreakerBoard):
        board.ask(breakers.vouches)
    return breakers


def _fleet(
    client: RedisClient | None,
    log: StreamLog,
    slots: Slots,
    board: BreakerBoard,
    queue: MessageQueue,
    limiter: Limiter,
    clock: Clock,
    ids: StreamIds,
    defects: Defects,
) -> RedisFleet | None:
    if client is None or not (isinstance(log, RedisStreamLog) and isinstance(slots, RedisSlots)):
        return None
    if not (isinstance(board, RedisBreakerBoard) and isinstance(queue, RedisMessageQueue)):
        return None
    return RedisFleet(client, log, slots, board, queue, limiter, clock, ids.adopt, defects)


def _signals(log: StreamLog) -> Fleet | None:
    return log if isinstance(log, RedisStreamLog) else None


class Container(containers.DeclarativeContainer):
    """Synchronous singletons: nothing is resolved per request."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)

    clock = providers.Singleton(SystemClock)
    metrics_registry = providers.Singleton(metrics_registry_of)
    defects = providers.Singleton(PrometheusDefects, metrics_registry)
    sweeper = providers.Singleton(Sweeper, clock, defects=defects)
    watchdog = providers.Singleton(LoopWatchdog, defects=defects)
    tracing = providers.Singleton(tracing_of, settings, clock)
    refusals = providers.Singleton(LoggedRefusals, metrics_registry, clock)
    recorder = providers.Singleton(recorder_of, settings, metrics_registry, tracing, defects)
    tracker = providers.Singleton(
        ExecutionTracker,
        clock,
        enabled=settings.provided.tracking.enabled,
        sample_rate=settings.provided.tracking.sample_rate,
    )

    cache = providers.Singleton(
        MemoryCache,
        clock,
        max_bytes=settings.provided.cache.l1_max_bytes,
        max_entries=L1_MAX_ENTRIES,
        max_entry_bytes=providers.Callable(_largest_entry, settings),
    )
    redis_client = providers.Singleton(
        client_of,
        settings.provided.redis,
        providers.Callable(_redis_timing, tracker),
        providers.Object(log_redis_state),
        defects,
    )
    l2_cache = providers.Singleton(_l2, redis_client)
    connection_limits = providers.Singleton(ConnectionLimits)
    connection_bounds = providers.Singleton(ConnectionBounds.within, providers.Callable(open_files))
    connections = providers.Singleton(
        _connections, settings, clock, sweeper, connection_limits, connection_bounds, refusals, defects
    )
    stream_log = providers.Singleton(_stream_log, settings, clock, redis_client, defects)
    limiter = providers.Singleton(limiter_of, settings, clock, redis_client, defects)
    slots = providers.Singleton(_slots, settings, clock, redis_client, defects)
    queue = providers.Singleton(_queue, settings, redis_client, stream_log)
    dead_letters = providers.Singleton(_dead_letters, redis_client)
    breaker_board = providers.Singleton(_breaker_board, clock, redis_client, defects)
    answer_bounds = providers.Singleton(_answer_bounds, settings)
    llm_providers = providers.Singleton(_providers, settings, clock, answer_bounds)

    model_list_failures = providers.Singleton(ModelListFailures, metrics_registry)
    model_catalogue = providers.Singleton(
        ModelCatalogue,
        clock,
        providers.Callable(tuple, settings.provided.routes),
        llm_providers,
        model_list_failures.provided.count,
        defects=defects,
    )

    callers = providers.Singleton(_callers, settings)
    api_keys = providers.Singleton(_api_keys, settings, redis_client)
    key_refresh = providers.Singleton(KeyRefresh, clock, api_keys, callers, log_key_warning, defects)
    stream_ids = providers.Singleton(StreamIds, providers.Callable(secrets.token_bytes, 32))
    answer_cache = providers.Singleton(
        AnswerCache,
        tracker,
        providers.Factory(
            CachePolicy,
            enabled=settings.provided.cache.enabled,
            ttl_seconds=settings.provided.cache.ttl_seconds,
            shared_across_tenants=settings.provided.cache.shared_across_tenants,
            exclude_sampled=settings.provided.cache.exclude_sampled,
        ),
        cache,
        l2_cache,
        defects,
    )
    router = providers.Singleton(
        Router,
        llm_providers,
        settings.provided.routes,
        providers.Factory(
            RetryPolicy,
            max_attempts=settings.provided.retry.max_attempts,
            base_delay=settings.provided.retry.base_delay,
            max_delay=settings.provided.retry.max_delay,
        ),
        providers.Factory(random.Random),
        providers.Callable(capabilities_by, settings.provided.targets),
    )
    timeouts = providers.Singleton(_timeouts, settings)
    breakers = providers.Singleton(
        _breakers,
        timeouts,
        clock,
        breaker_board,
        providers.Factory(
            BreakerPolicy,
            failure_threshold=settings.provided.breaker.failure_threshold,
            minimum_calls=settings.provided.breaker.minimum_calls,
            recovery_timeout=settings.provided.breaker.recovery_timeout,
        ),
        defects,
    )
    permits = providers.Singleton(_permits, settings, clock, stream_log, sweeper, defects)
    attempts = providers.Singleton(
        Attempts,
        clock,
        stream_log,
        router,
        breakers,
        sweeper,
        timeouts,
        permits,
        defects,
    )
    admission = providers.Singleton(
        Admission,
        clock,
        limiter,
        slots,
        queue,
        providers.Callable(_tier_of, settings),
        wait=settings.provided.queue.max_wait,
        defects=defects,
    )
    generations = providers.Singleton(
        Generations,
        clock,
        stream_log,
        attempts,
        admission,
        answer_cache,
        recorder,
        tracker,
        sweeper,
        dead_letters,
        providers.Callable(_signals, stream_log),
        defects,
    )
    stream_service = providers.Singleton(
        StreamService,
        clock,
        stream_log,
        stream_ids,
        router,
        answer_cache,
        admission,
        generations,
        recorder,
        tracker,
        sweeper,
        defects,
    )
    replay = providers.Singleton(
        Replay,
        clock,
        stream_log,
        stream_ids,
        queue,
        dead_letters,
        providers.Callable(_tier_of, settings),
        wait=settings.provided.queue.max_wait,
        grace=settings.provided.stream.total_timeout,
    )
    fleet = providers.Singleton(
        _fleet, redis_client, stream_log, slots, breaker_board, queue, limiter, clock, stream_ids, defects
    )
    metrics = providers.Singleton(
        _metrics,
        metrics_registry,
        generations,
        tracker,
        sweeper,
        defects,
        slots,
        queue,
        stream_log,
        cache,
        l2_cache,
        limiter,
        breaker_board,
        permits,
        connections,
        fleet,
        watchdog,
    )
