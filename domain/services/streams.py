"""Streams: open one, attach to one, cancel one. One request from top to bottom (DESIGN §3)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from domain import stages
from domain.errors import (
    QueueFullError,
    RateLimitError,
    ServerDrainingError,
    SSEBaseError,
    StreamingError,
    StreamLogFullError,
    StreamNotFoundError,
    StreamNotResumableError,
)
from domain.events import Answer
from domain.jobs import Job
from domain.model import (
    CacheStatus,
    CallContext,
    Caller,
    CompletionRequest,
    Cost,
    Outcome,
    Position,
    RequestRecord,
    StreamInfo,
    Verdict,
)
from domain.services.admission import Admission, Ticket
from domain.services.answer_cache import AnswerCache
from domain.services.attempts import Progress
from domain.services.estimate import estimate_tokens
from domain.services.execution_tracker import ExecutionTracker
from domain.services.generation import Generation
from domain.services.generations import Generations, outcome
from domain.services.routing import Router
from domain.services.stream_ids import StreamIds, new_epoch
from domain.services.sweeper import Sweeper
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where
from ports.recorder import Recorder
from ports.stream_log import Reader, StreamLog


@dataclass(eq=False, slots=True)
class Attachment:
    """One reader of one stream, as a connection holds it. Whoever opened it must `close` it."""

    reader: Reader
    info: StreamInfo
    cache: CacheStatus
    generation: Generation | None
    verdict: Verdict | None = None
    on_close: Callable[[], None] | None = None
    defects: Defects = LOGGED_DEFECTS
    answering: str | None = None
    """The target, for an attachment without a generation."""

    @property
    def target(self) -> str | None:
        """Who answers, once the first event is there, if the answer is made in this process (R7)."""
        return self.answering if self.generation is None else _target(self.generation)

    def release(self) -> None:
        """Lets the work go on without this reader, to its end: nobody has left, since nobody has come yet."""
        if self.generation is not None:
            self.generation.readers -= 1
            self.generation = None
        self.close()

    def close(self) -> None:
        """The connection is gone or done. Idempotent; may end the work (S7). Each step is done, whatever the others do:
        a generation that did not hear of it would run for nobody."""
        wall = Wall(self.defects, Where.ATTACHMENT)
        generation, self.generation = self.generation, None
        on_close, self.on_close = self.on_close, None
        with wall:
            self.reader.close()
        if generation is not None:
            with wall:
                generation.detach()
        if on_close is not None:
            with wall:
                on_close()


class StreamService:
    """The one way in for every door."""

    def __init__(
        self,
        clock: Clock,
        log: StreamLog,
        ids: StreamIds,
        router: Router,
        cache: AnswerCache,
        admission: Admission,
        generations: Generations,
        recorder: Recorder,
        tracker: ExecutionTracker,
        sweeper: Sweeper,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._recording = Wall(defects, Where.RECORDER)
        self._clock = clock
        self._log = log
        self._ids = ids
        self._router = router
        self._cache = cache
        self._admission = admission
        self._generations = generations
        self._recorder = recorder
        self._tracker = tracker
        self._sweeper = sweeper
        self._draining = False

    @property
    def models(self) -> tuple[str, ...]:
        """The public model names; the first is the default."""
        return self._router.models

    @property
    def draining(self) -> bool:
        """Whether new work is refused (S12)."""
        return self._draining

    def drain(self) -> None:
        """Refuses new work from now on; what runs goes on."""
        self._draining = True
        self._admission.retire()

    async def open(self, request: CompletionRequest, context: CallContext) -> Attachment:
        """Starts an answer, or finds it in the cache or in flight, and attaches a reader to it.

        Raises `ModelNotFoundError`, a `RateLimitError`, `QueueFullError`, `StreamLogFullError`, `ServerDrainingError`;
        whatever it raises but the first, the request has its record (Q3).
        """
        started, thread_id = self._clock.monotonic(), context.thread_id
        with self._tracker.track_stage(stages.PROVIDER_SELECTION, "Find the route", thread_id):
            self._router.resolve(request.model)
        if self._draining:
            error = ServerDrainingError("This replica is shutting down.", details={"retry_after": 1})
            self._record_refusal(request, context, started, error)
            raise error
        try:
            key = self._cache.key(context.caller, request)
            share_key = None
            if key is not None and context.lookup:
                with self._tracker.track_stage(stages.CACHE_LOOKUP, "Cache look-up", thread_id):
                    hit = await self._cache.get(key, thread_id)
                if hit is not None:
                    return await self._replay(request, context, *hit, started)
                # Never across tenants, even if the cache is shared: a stream belongs to its caller (S6).
                share_key = f"{context.caller.tenant}\n{key}" if context.store else None
            if share_key is not None:
                running = self._generations.find(share_key)
                if running is not None and running.reason is None:
                    verdict = await self._reserve(context, Cost(tokens=0))
                    return await self._join(running.info, context, verdict, started)
                if running is not None:
                    share_key = None  # it is being cancelled: nobody joins it, and its key is not free yet
            cost = Cost(tokens=estimate_tokens(request))
            verdict = await self._reserve(context, cost)
            store_key = key if context.store else None
            begun = await self._begin(request, context, store_key, share_key, cost.tokens, verdict, started)
        except BaseException as error:
            self._record_refusal(request, context, started, error)
            raise
        if isinstance(begun, Attachment):
            return begun
        # From here on the record is the generation's.
        return await self._follow(begun.info, context, begun.job.cache, begun, verdict)

    async def attach(
        self, stream_id: str, caller: Caller, after: Position | None = None, *, reads: bool = True
    ) -> Attachment:
        """Follows a stream from `after`, or from its beginning. Who only looks, and `reads` nothing, is not counted as
        a reader: the work neither goes on for it nor ends when it leaves.

        Raises `StreamNotFoundError` if it is not this caller's or never was, `StreamNotResumableError` if it is gone,
        `StreamLogUnavailableError` if that cannot be told now.
        """
        self._check_owner(stream_id, caller)
        reader = await self._log.follow(stream_id, after)
        if reader is None:
            raise StreamNotResumableError("This stream is no longer kept.")
        generation = self._generations.get(stream_id)
        if generation is not None and not reads:
            return Attachment(reader, reader.info, CacheStatus.BYPASS, None, answering=_target(generation))
        if generation is not None:
            generation.attach(0.0)
        return Attachment(reader, reader.info, CacheStatus.BYPASS, generation, defects=self._defects)

    async def cancel(self, stream_id: str, caller: Caller) -> None:
        """Ends a stream as `cancelled`; nothing happens if it has ended. Raises `StreamNotFoundError`."""
        self._check_owner(stream_id, caller)
        generation = self._generations.get(stream_id)
        if generation is not None:
            generation.cancel("requested")
        else:
            await self._generations.cancel_elsewhere(stream_id)

    def _check_owner(self, stream_id: str, caller: Caller) -> None:
        if not self._ids.belongs(stream_id, caller.tenant):
            raise StreamNotFoundError("No such stream.")

    async def _begin(
        self,
        request: CompletionRequest,
        context: CallContext,
        store_key: str | None,
        share_key: str | None,
        reserved: int,
        verdict: Verdict,
        started: float,
    ) -> "Generation | Attachment":
        """A generation of its own: a slot or a place in the queue, then the stream; or an equal one of the fleet's."""
        caller = context.caller
        info = self._new_stream(request, context)
        how = CacheStatus.MISS if store_key is not None and context.lookup else CacheStatus.BYPASS
        job = Job(info, context, request, store_key, share_key, how, reserved)
        try:
            ticket = await self._admission.enter(job)
        except BaseException:
            await self._admission.refund(caller, Cost(tokens=reserved))
            raise
        joined: Attachment | None = None
        try:
            lease = await (self._log.open(info) if share_key is None else self._log.open_shared(info, share_key))
            if isinstance(lease, StreamInfo):
                try:
                    joined = await self._join(lease, context, verdict, started)
                except StreamingError:  # it cannot be read from here, so an answer of our own it is
                    lease, job = await self._log.open(info), job._replace(share_key=None)
            if ticket.message is not None and not isinstance(lease, StreamInfo):
                self._log.append(lease, [self._admission.status(ticket)])
        except BaseException:
            await self._admission.leave(ticket)
            await self._admission.refund(caller, Cost(tokens=reserved))
            raise
        if isinstance(lease, StreamInfo):
            assert joined is not None  # noqa: S101 - for the type checker
            return await self._give_way(joined, ticket, caller, reserved)
        progress = Progress(job, lease)
        generation = Generation(self._sweeper, job, progress, ticket, started, self._generations.orphaned)
        self._generations.start(generation)
        return generation

    async def _give_way(self, joined: Attachment, ticket: Ticket, caller: Caller, reserved: int) -> Attachment:
        """What was taken for an answer of its own goes back: an equal one is read instead."""
        try:
            await self._admission.leave(ticket)
            await self._admission.settle(caller, reserved, 0)
        except BaseException:
            joined.on_close = None  # the refusal is the request's record
            joined.close()
            raise
        return joined

    async def _join(self, info: StreamInfo, context: CallContext, verdict: Verdict, started: float) -> Attachment:
        """Another reader of what is in flight (C1, C3). Its record is written when it leaves."""
        generation = self._generations.get(info.stream_id)
        attachment = await self._follow(info, context, CacheStatus.COALESCED, generation, verdict)

        def left() -> None:
            terminal = attachment.reader.terminal
            how = outcome(terminal) if terminal is not None else Outcome.CANCELLED
            self._record(info, context, CacheStatus.COALESCED, how, started)

        attachment.on_close = left
        return attachment

    async def _replay(
        self, request: CompletionRequest, context: CallContext, answer: Answer, tier: CacheStatus, started: float
    ) -> Attachment:
        """A stored answer as a stream of its own (K3)."""
        info = self._new_stream(request, context)
        self._log.append(await self._log.open(info), answer)
        attachment = await self._follow(info, context, tier, None, None)
        self._record(info, context, tier, Outcome.SERVED, started)
        return attachment

    async def _follow(
        self,
        info: StreamInfo,
        context: CallContext,
        cache: CacheStatus,
        generation: Generation | None,
        verdict: Verdict | None,
    ) -> Attachment:
        reader = await self._log.follow(info.stream_id)
        if reader is None:
            raise StreamNotResumableError("The stream was lost as it began.", thread_id=context.thread_id)
        if generation is not None:
            generation.attach(context.grace)
        return Attachment(reader, info, cache, generation, verdict, defects=self._defects)

    async def _reserve(self, context: CallContext, cost: Cost) -> Verdict:
        with self._tracker.track_stage(stages.RATE_LIMITING, "Limits", context.thread_id):
            return await self._admission.reserve(context.caller, cost, context.thread_id)

    def _new_stream(self, request: CompletionRequest, context: CallContext) -> StreamInfo:
        return StreamInfo(
            self._ids.create(context.caller.tenant),
            new_epoch(),
            request.model,
            int(self._clock.time()),
            context.thread_id,
        )

    def _record_refusal(
        self, request: CompletionRequest, context: CallContext, started: float, error: BaseException
    ) -> None:
        unopened = StreamInfo("", "", request.model, int(self._clock.time()), context.thread_id)
        told = error if isinstance(error, SSEBaseError) else None
        self._record(unopened, context, CacheStatus.MISS, refusal(error), started, told)

    def _record(
        self,
        info: StreamInfo,
        context: CallContext,
        cache: CacheStatus,
        how: Outcome,
        started: float,
        error: SSEBaseError | None = None,
    ) -> None:
        """One record for a request that has no generation of its own: a hit, a joiner, a refusal."""
        with self._recording:
            self._recorder.record(
                RequestRecord(
                    thread_id=context.thread_id,
                    stream_id=info.stream_id,
                    tenant=context.caller.tenant,
                    door=context.door,
                    model=info.model,
                    target=None,
                    outcome=how,
                    code=None if error is None else error.code,
                    cache=cache,
                    attempts=0,
                    usage=None,
                    first_event_seconds=None,
                    total_seconds=self._clock.monotonic() - started,
                    stages=self._tracker.stage_seconds(context.thread_id),
                )
            )


def _target(generation: Generation) -> str | None:
    return None if generation.progress.first_event_at is None else generation.progress.target


def refusal(error: BaseException) -> Outcome:
    """How a request ended that has no stream."""
    if isinstance(error, RateLimitError):
        return Outcome.REJECTED_RATE
    if isinstance(error, QueueFullError | StreamLogFullError | ServerDrainingError):
        return Outcome.REJECTED_FULL
    return Outcome.CANCELLED if isinstance(error, asyncio.CancelledError) else Outcome.FAILED
