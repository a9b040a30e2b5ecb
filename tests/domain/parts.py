"""The services on memory adapters and a clock that stands still: a whole house without a door."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.memory.cache import MemoryCache
from adapters.memory.dead_letters import MemoryDeadLetters
from adapters.memory.defects import MemoryDefects
from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.recorder import MemoryRecorder
from adapters.memory.slots import MemorySlots
from adapters.memory.stream_log import MemoryStreamLog
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script, text_pieces
from domain.fair_line import FairLine
from domain.model import CallContext, Caller, CompletionRequest, Event, Message, Tier
from domain.services.admission import Admission
from domain.services.answer_cache import AnswerCache, CachePolicy
from domain.services.attempts import Attempts
from domain.services.breaker_state import BreakerPolicy
from domain.services.circuit_breaker import CircuitBreakers
from domain.services.execution_tracker import ExecutionTracker
from domain.services.generations import Generations
from domain.services.routing import RetryPolicy, Router
from domain.services.stream_ids import StreamIds
from domain.services.streams import Attachment, StreamService
from domain.services.sweeper import Sweeper
from domain.services.target_permits import TargetPermits
from domain.services.timeouts import StreamTimeouts, Timeouts
from ports.cache import Cache
from ports.fleet import Fleet
from ports.provider import Provider
from ports.queue import MessageQueue
from ports.stream_log import StreamLog

TEXT = "one two three four five"
CALLER = Caller("acme")


def ask(model: str = "p/ok", prompt: str = "hi", **options: object) -> CompletionRequest:
    """A request."""
    return CompletionRequest(model, [Message("user", prompt)], options)  # type: ignore[arg-type]


def context(thread_id: str = "t", **fields: object) -> CallContext:
    """A call of CALLER."""
    return CallContext(thread_id, CALLER, **fields)  # type: ignore[arg-type]


@dataclass
class House:
    """Everything plugged together; replace a part before `build`."""

    scripts: Mapping[str, Script] = field(default_factory=dict)
    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    slots_in_all: int = 100
    l2: Cache | None = None
    clock: ManualClock = field(default_factory=ManualClock)
    log: StreamLog | None = None
    provider: Provider | None = None
    policy: CachePolicy = field(default_factory=CachePolicy)
    tokens_per_minute: int = 1_000_000
    fleet: Fleet | None = None
    permits: int | None = None
    """Concurrency is adaptive, up to this."""
    line_depth: int = 100
    queue: MessageQueue = field(default_factory=lambda: MemoryMessageQueue(10, 10))
    limits: type[MemoryLimiter] = MemoryLimiter
    recorders: type[MemoryRecorder] = MemoryRecorder
    boards: type[MemoryBreakerBoard] = MemoryBreakerBoard
    defects: MemoryDefects = field(default_factory=MemoryDefects)
    timeouts: StreamTimeouts = field(default_factory=lambda: StreamTimeouts(10.0, 10.0, 30.0, 100.0))
    own_timeouts: Mapping[str, StreamTimeouts] = field(default_factory=dict)

    def build(self) -> StreamService:
        """The service, its parts in the attributes."""
        clock = self.clock
        self.demo = DemoProvider("p", clock, {"ok": Script(text_pieces(TEXT)), **self.scripts})
        self.sweeper = Sweeper(clock, defects=self.defects)
        self.recorder = self.recorders(100)
        self.tracker = ExecutionTracker(clock, sample_rate=1.0)
        self.board = self.boards(clock)
        self.slots = MemorySlots(self.slots_in_all, lambda _: 100)
        self.l1 = MemoryCache(clock, max_bytes=2**20, max_entries=100, max_entry_bytes=2**20)
        self.limiter = limiter = self.limits(clock, {"default": Tier(1000, self.tokens_per_minute, 100)})
        log = self.log or MemoryStreamLog(clock, max_bytes=2**24, defects=self.defects)
        self.the_log = log
        cache = AnswerCache(self.tracker, self.policy, self.l1, self.l2, self.defects)
        router = Router(
            {"p": self.provider or self.demo},
            self.routes,
            RetryPolicy(max_attempts=3, base_delay=1.0),
            random.Random(1),
        )
        self.breakers = CircuitBreakers(
            clock, self.board, BreakerPolicy(failure_threshold=3), probe_seconds=lambda _: 300.0, defects=self.defects
        )
        tier = Tier(1000, self.tokens_per_minute, 100)
        self.target_permits = None
        if self.permits is not None:
            depth = self.line_depth
            self.target_permits = TargetPermits(
                clock,
                log,
                self.sweeper,
                lambda: FairLine(depth, depth),
                lambda _: tier,
                wait=20.0,
                most=self.permits,
                defects=self.defects,
            )
        timeouts = Timeouts(self.timeouts, self.own_timeouts)
        attempts = Attempts(
            clock, log, router, self.breakers, self.sweeper, timeouts, self.target_permits, self.defects
        )
        admission = Admission(clock, limiter, self.slots, self.queue, lambda _: tier, wait=60.0, defects=self.defects)
        self.admission = admission
        self.dead_letters = MemoryDeadLetters()
        self.generations = Generations(
            clock,
            log,
            attempts,
            admission,
            cache,
            self.recorder,
            self.tracker,
            self.sweeper,
            self.dead_letters,
            self.fleet,
            self.defects,
        )
        return StreamService(
            clock,
            log,
            StreamIds(b"secret"),
            router,
            cache,
            admission,
            self.generations,
            self.recorder,
            self.tracker,
            self.sweeper,
            self.defects,
        )

    async def pass_time(self, seconds: float, step: float = 0.5) -> None:
        """Lets time pass, and the sweeper see it."""
        for _ in range(round(seconds / step)):
            await self.clock.advance(step)
            self.sweeper.sweep()
            await self.clock.advance(0)


async def read_all(attachment: Attachment) -> list[Event]:
    """All events to the end of a stream that has ended, or will without time passing."""
    events: list[Event] = []
    while not attachment.reader.ended:
        batch = await attachment.reader.read()
        if batch is not None:
            events.extend(batch.events)
    return events
