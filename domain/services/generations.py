"""All generations of this process: waits for their slots, has their targets tried, ends their streams, settles."""

import asyncio
from collections.abc import Coroutine

from domain import stages
from domain.errors import QueueTimeoutError, SSEBaseError
from domain.model import Cancelled, Complete, Failed, Outcome, RequestRecord, Status, StatusState, Terminal
from domain.services.admission import CHARACTERS_PER_TOKEN, Admission, estimate_tokens
from domain.services.answer_cache import AnswerCache
from domain.services.attempts import Attempts, Progress
from domain.services.execution_tracker import ExecutionTracker
from domain.services.generation import Generation
from domain.services.sweeper import Sweeper
from ports.clock import Clock
from ports.fleet import Fleet, FleetEvent
from ports.recorder import Recorder
from ports.stream_log import StreamLog

RECHECK_SECONDS = 5.0
"""Between two looks at whether a stream that nobody reads here is still read elsewhere: a reader may die unheard."""


class Generations:
    """Starts generations, knows them, ends them. Each runs in a task that this object owns."""

    def __init__(
        self,
        clock: Clock,
        log: StreamLog,
        attempts: Attempts,
        admission: Admission,
        cache: AnswerCache,
        recorder: Recorder,
        tracker: ExecutionTracker,
        sweeper: Sweeper,
        fleet: Fleet | None = None,
        *,
        queue_wait: float,
    ) -> None:
        self._clock = clock
        self._log = log
        self._attempts = attempts
        self._admission = admission
        self._cache = cache
        self._recorder = recorder
        self._tracker = tracker
        self._sweeper = sweeper
        self._queue_wait = queue_wait
        self._running: dict[str, Generation] = {}
        self._shared: dict[str, Generation] = {}
        self._fleet = fleet
        self._tasks: set[asyncio.Task[None]] = set()
        if fleet is not None:
            fleet.listen(FleetEvent.LEFT, self._left_elsewhere)
            fleet.listen(FleetEvent.CANCEL, self._cancelled_elsewhere)
            fleet.listen(FleetEvent.SLOT, admission.poke)

    def __len__(self) -> int:
        return len(self._running)

    def get(self, stream_id: str) -> Generation | None:
        """The generation that fills this stream, if this process runs it."""
        return self._running.get(stream_id)

    def find(self, share_key: str) -> Generation | None:
        """The generation that serves equal requests."""
        return self._shared.get(share_key)

    def start(self, generation: Generation) -> None:
        """Runs it."""
        self._running[generation.info.stream_id] = generation
        if generation.share_key is not None:
            self._shared[generation.share_key] = generation
        generation.task = asyncio.create_task(self._run(generation), name=f"generation {generation.info.stream_id}")

    async def aclose(self) -> None:
        """Cancels all and waits until each has ended its stream and settled."""
        running = list(self._running.values())
        for generation in running:
            generation.cancel("draining")
        await asyncio.gather(*(generation.task for generation in running if generation.task), return_exceptions=True)
        await asyncio.gather(*self._tasks)

    def orphaned(self, generation: Generation) -> None:
        """Nobody reads it here: it is given up, unless somebody does elsewhere (C2, S7)."""
        if self._fleet is None:
            generation.cancel("orphaned")
        else:
            self._own(self._ask_fleet(generation, self._fleet))

    async def cancel_elsewhere(self, stream_id: str) -> None:
        """Cancels a stream that another process may fill."""
        if self._fleet is not None:
            await self._fleet.cancel_elsewhere(stream_id)

    async def _ask_fleet(self, generation: Generation, fleet: Fleet) -> None:
        elsewhere = await fleet.read_elsewhere(generation.info.stream_id)
        if generation.readers > 0:
            return
        if elsewhere:
            generation.await_readers(RECHECK_SECONDS)
        else:
            generation.cancel("orphaned")

    def _left_elsewhere(self, stream_id: str) -> None:
        generation = self._running.get(stream_id)
        if generation is not None:
            generation.await_readers(generation.grace)

    def _cancelled_elsewhere(self, stream_id: str) -> None:
        generation = self._running.get(stream_id)
        if generation is not None:
            generation.cancel("requested")

    def _own(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, generation: Generation) -> None:
        generation.begun = True
        thread_id = generation.context.thread_id
        # What is said if nothing better is: a defect of ours must end the stream too, before it is reported.
        terminal: Terminal = Failed(SSEBaseError.code, "Something went wrong on our side.", retryable=True)
        try:
            with self._tracker.track_stage(stages.LLM_STREAMING, "Stream the answer", thread_id):
                terminal = await self._fill(generation)
        finally:
            try:
                with self._tracker.track_stage(stages.CLEANUP, "Settle", thread_id):
                    await self._end(generation, terminal)
            finally:
                generation.dismiss()
                self._forget(generation)
                await self._admission.leave(generation.ticket)

    async def _fill(self, generation: Generation) -> Terminal:
        """The stream up to its end; the end itself is returned. Whatever happens, there is one (S4)."""
        try:
            if generation.reason is not None:
                return Cancelled(generation.reason)
            if not generation.ticket.granted.done():
                await self._wait_for_slot(generation)
            return await self._attempts.run(generation.progress)
        except asyncio.CancelledError:
            return Cancelled(generation.reason or "stopped")
        except SSEBaseError as error:
            return failed(error)

    async def _wait_for_slot(self, generation: Generation) -> None:
        ticket, lease = generation.ticket, generation.progress.lease
        ticket.moved = lambda status: self._log.append(lease, [status])
        try:
            with self._sweeper.timeout(self._queue_wait):
                # Shielded: a timeout must not cancel the future itself, by which the ticket knows where it stands.
                await asyncio.shield(ticket.granted)
        except TimeoutError as error:
            raise QueueTimeoutError(
                "No slot came free in time.",
                thread_id=generation.context.thread_id,
                details={"retry_after": 5, "seconds": self._queue_wait},
            ) from error
        self._log.append(lease, [Status(StatusState.STARTED)])

    async def _end(self, generation: Generation, terminal: Terminal) -> None:
        """Cache, terminal event, limits, record: in this order, so that an equal request finds the one or the other."""
        progress = generation.progress
        if isinstance(terminal, Complete) and generation.store_key is not None and not progress.rescues:  # K1
            await self._cache.put(generation.store_key, progress.deltas, terminal)
        generation.terminal = terminal
        self._forget(generation)
        try:
            self._log.append(progress.lease, [terminal])
            await self._log.settle(progress.lease)
        except SSEBaseError:
            # The stream is no longer ours: its readers have their end from elsewhere, and we still settle.
            terminal = Cancelled("fenced")
        await self._admission.settle(generation.context.caller, generation.reserved, tokens_used(progress))
        self._recorder.record(self._record(generation, terminal))

    def _forget(self, generation: Generation) -> None:
        self._running.pop(generation.info.stream_id, None)
        if generation.share_key is not None and self._shared.get(generation.share_key) is generation:
            del self._shared[generation.share_key]

    def _record(self, generation: Generation, terminal: Terminal) -> RequestRecord:
        progress, started = generation.progress, generation.started_at
        first = progress.first_event_at
        return RequestRecord(
            thread_id=generation.context.thread_id,
            stream_id=generation.info.stream_id,
            tenant=generation.context.caller.tenant,
            door=generation.context.door,
            model=generation.info.model,
            target=progress.target,
            outcome=outcome(terminal),
            code=terminal.code if isinstance(terminal, Failed) else None,
            cache=generation.cache,
            attempts=progress.attempts,
            usage=progress.usage,
            first_event_seconds=None if first is None else first - started,
            total_seconds=self._clock.monotonic() - started,
            stages=self._tracker.stage_seconds(generation.context.thread_id),
            gaps=tuple(progress.gaps),
        )


def failed(error: SSEBaseError) -> Failed:
    """The terminal event that tells of this error."""
    param = error.details.get("param")
    return Failed(
        error.code, error.message, error.retryable, error.retry_after, param if isinstance(param, str) else None
    )


def outcome(terminal: Terminal) -> Outcome:
    """How the request behind a stream ended."""
    if isinstance(terminal, Complete):
        return Outcome.SERVED
    if isinstance(terminal, Cancelled):
        return Outcome.CANCELLED
    return Outcome.EXPIRED if terminal.code == QueueTimeoutError.code else Outcome.FAILED


def tokens_used(progress: Progress) -> int:
    """What the answer cost: as the provider counted, else estimated from what was sent; nothing if nothing came."""
    if progress.usage is not None:
        return progress.usage.total_tokens
    if progress.first_event_at is None:
        return 0
    prompt_only = estimate_tokens(progress.request, answer_tokens=0)
    return prompt_only + progress.characters // CHARACTERS_PER_TOKEN
