"""All generations of this process: waits for their slots, has their targets tried, ends their streams, settles.

Those that had to wait may have come from other processes, or go there.
"""

import asyncio
from collections.abc import Coroutine

from domain import stages
from domain.errors import DeliveryFailedError, ProviderRequestError, QueueTimeoutError, SSEBaseError
from domain.jobs import MAX_DELIVERIES, DeadLetter, QueueMessage
from domain.model import Cancelled, Complete, Failed, Outcome, RequestRecord, Status, StatusState, Terminal
from domain.services.admission import Admission, Ticket
from domain.services.answer_cache import AnswerCache
from domain.services.attempts import Attempts, Progress
from domain.services.estimate import CHARACTERS_PER_TOKEN, estimate_tokens
from domain.services.execution_tracker import ExecutionTracker
from domain.services.generation import Generation
from domain.services.sweeper import Sweeper
from ports.clock import Clock
from ports.dead_letters import DeadLetters
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where
from ports.fleet import Fleet, FleetEvent
from ports.recorder import Recorder
from ports.stream_log import StreamLog

LOST = Failed("producer_lost", "The process that wrote this answer is gone.", retryable=True)
"""How a stream ends whose producer was not heard of for a lease: told by whoever reads it."""
DEFECT = Failed(SSEBaseError.code, "Something went wrong on our side.", retryable=True)
RECHECK_SECONDS = 5.0
"""Between two looks at whether a stream that nobody reads here is still read elsewhere: a reader may die unheard."""


class Generations:
    """Starts generations, knows them, ends them. Each runs in a task that this object owns, and that never raises: a
    defect ends its stream, is reported, and what was taken for it is given back all the same."""

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
        dead_letters: DeadLetters,
        fleet: Fleet | None = None,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._wall = Wall(defects, Where.GENERATION)
        self._recording = Wall(defects, Where.RECORDER)
        self._burying = Wall(defects, Where.DEAD_LETTERS)
        self._settling = Wall(defects, Where.LIMITER)
        self._leaving = Wall(defects, Where.ADMISSION)
        self._clock = clock
        self._log = log
        self._attempts = attempts
        self._admission = admission
        self._cache = cache
        self._recorder = recorder
        self._tracker = tracker
        self._sweeper = sweeper
        self._dead_letters = dead_letters
        self._running: dict[str, Generation] = {}
        self._shared: dict[str, Generation] = {}
        self._fleet = fleet
        self._tasks: set[asyncio.Task[None]] = set()
        if fleet is not None:
            fleet.listen(FleetEvent.LEFT, self._left_elsewhere)
            fleet.listen(FleetEvent.CANCEL, self._cancelled_elsewhere)
            fleet.listen(FleetEvent.SLOT, admission.poke)
            fleet.listen(FleetEvent.TAKEN, self._taken_elsewhere)
            admission.adopt = lambda message, ticket: self._own(self._adopt(message, ticket, fleet))

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
        if generation.job.share_key is not None:
            self._shared[generation.job.share_key] = generation
        generation.task = asyncio.create_task(self._run(generation), name=f"generation {generation.info.stream_id}")

    async def aclose(self) -> None:
        """Cancels all and waits until each has ended its stream and settled.

        What waits for a slot, and would go on without its readers, is left to the fleet.
        """
        self._admission.close()
        running = list(self._running.values())
        for generation in running:
            waits = generation.terminal is None and not generation.ticket.granted.done()
            if self._fleet is not None and waits and generation.grace > 0:
                generation.hand_over()
            else:
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

    def _taken_elsewhere(self, stream_id: str) -> None:
        generation = self._running.get(stream_id)
        if generation is not None and generation.ticket.message is not None:
            generation.hand_over()

    async def _adopt(self, message: QueueMessage, ticket: Ticket, fleet: Fleet) -> None:
        """Goes on with what waited in another process. If that cannot be, the message comes back into the line."""
        job, lease = message.job, message.lease
        assert lease is not None  # noqa: S101 - for the type checker
        self._taken_elsewhere(job.stream_id)  # it was this one's before, too
        try:
            await fleet.adopt(job.info, lease)
        except SSEBaseError:
            await self._admission.leave(ticket)
            return
        progress = Progress(job, lease)
        started_at = self._clock.monotonic() - (self._admission.wait - message.wait)
        generation = Generation(self._sweeper, job, progress, ticket, started_at, self.orphaned)
        if message.cancelled:
            generation.reason = "requested"
        self.start(generation)
        # The process that had it tells when its readers leave; if it is gone, it has none.
        generation.await_readers(max(RECHECK_SECONDS, generation.grace))

    def _own(self, work: Coroutine[None, None, None]) -> None:
        async def walled() -> None:
            with self._wall:
                await work

        task = asyncio.create_task(walled())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, generation: Generation) -> None:
        generation.begun = True
        thread_id = generation.context.thread_id
        terminal: Terminal = DEFECT  # what is said if nothing better is: a defect of ours must end the stream too
        try:
            with self._wall, self._tracker.track_stage(stages.LLM_STREAMING, "Stream the answer", thread_id):
                terminal = await self._fill(generation)
        finally:
            try:
                with self._wall, self._tracker.track_stage(stages.CLEANUP, "Settle", thread_id):
                    await self._finish(generation, terminal)
            finally:
                generation.dismiss()
                self._forget(generation)
                await self._leave(generation)

    async def _leave(self, generation: Generation) -> None:
        ticket = generation.ticket
        with self._leaving:
            if generation.handed_over and not ticket.granted.done():
                self._admission.forget(ticket)
            else:
                await self._admission.leave(ticket)

    async def _fill(self, generation: Generation) -> Terminal:
        """The stream up to its end; the end itself is returned. Whatever happens, there is one (S4)."""
        try:
            if generation.reason is not None:
                return Cancelled(generation.reason)
            if generation.ticket.message is not None:
                await self._start_queued(generation, generation.ticket.message)
            return await self._attempts.run(generation.progress)
        except asyncio.CancelledError:
            return Cancelled(generation.reason or "stopped")
        except SSEBaseError as error:
            return failed(error)

    async def _start_queued(self, generation: Generation, message: QueueMessage) -> None:
        """Waits for the slot, if it has none yet, and tells that it has one."""
        ticket, lease, thread_id = generation.ticket, generation.progress.lease, generation.context.thread_id
        ticket.moved = lambda status: self._log.append(lease, [status])
        try:
            with self._sweeper.timeout(message.wait):
                # Shielded: a timeout must not cancel the future itself, by which the ticket knows where it stands.
                await asyncio.shield(ticket.granted)
        except TimeoutError as error:
            raise self._too_late(thread_id) from error
        finally:
            ticket.moved = None  # what comes next may be the end, after which there is nothing to say
        if message.wait <= 0:  # it was taken from a process that could not say so any more
            raise self._too_late(thread_id)
        if ticket.message is not None and ticket.message.deliveries > MAX_DELIVERIES:
            details = {"deliveries": MAX_DELIVERIES}
            raise DeliveryFailedError("Each process that began with it died.", thread_id=thread_id, details=details)
        self._log.append(lease, [Status(StatusState.STARTED)])

    def _too_late(self, thread_id: str) -> QueueTimeoutError:
        details = {"retry_after": 5, "seconds": self._admission.wait}
        return QueueTimeoutError("No slot came free in time.", thread_id=thread_id, details=details)

    async def _finish(self, generation: Generation, terminal: Terminal) -> None:
        """Ends it, unless it goes on elsewhere; there it is told if it was cancelled here meanwhile."""
        if not generation.handed_over:
            await self._end(generation, terminal)
        if generation.handed_over and generation.reason is not None:
            await self.cancel_elsewhere(generation.info.stream_id)

    async def _end(self, generation: Generation, terminal: Terminal) -> None:
        """Cache, terminal event, limits, record: in this order, so that an equal request finds the one or the other."""
        progress = generation.progress
        if isinstance(terminal, Complete) and generation.job.store_key is not None and not progress.rescues:  # K1
            await self._cache.put(generation.job.store_key, progress.answer, terminal)
        generation.terminal = terminal
        self._unshare(generation)
        try:
            self._log.append(progress.lease, [terminal])
            await self._log.settle(progress.lease)
        except SSEBaseError:
            # The stream is no longer ours. Without output it goes on elsewhere, where all the rest is done.
            if generation.handed_over:
                return
            terminal = LOST
        with self._settling:
            await self._admission.settle(generation.context.caller, generation.job.reserved, tokens_used(progress))
        with self._burying:
            await self._bury(generation, terminal)
        with self._recording:
            self._recorder.record(self._record(generation, terminal))

    async def _bury(self, generation: Generation, terminal: Terminal) -> None:
        """What waited its turn, and then failed for no fault of its own, can be replayed by an operator (Q7)."""
        message = generation.ticket.message
        if message is None or not isinstance(terminal, Failed) or generation.progress.first_event_at is not None:
            return
        retryable = terminal.retryable and terminal.code != QueueTimeoutError.code
        if retryable or terminal.code == DeliveryFailedError.code:
            letter = DeadLetter(generation.job, terminal.code, message.deliveries, self._clock.time())
            await self._dead_letters.bury(letter)

    def _forget(self, generation: Generation) -> None:
        stream_id = generation.info.stream_id
        if self._running.get(stream_id) is generation:
            del self._running[stream_id]
        self._unshare(generation)

    def _unshare(self, generation: Generation) -> None:
        share_key = generation.job.share_key
        if share_key is not None and self._shared.get(share_key) is generation:
            del self._shared[share_key]

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
            cache=generation.job.cache,
            attempts=progress.attempts,
            usage=progress.usage,
            first_event_seconds=None if first is None else first - started,
            total_seconds=self._clock.monotonic() - started,
            stages=self._tracker.stage_seconds(generation.context.thread_id),
            gaps=tuple(progress.gaps),
            rescues=progress.rescues,
            failures=progress.failures,
        )


def failed(error: SSEBaseError) -> Failed:
    """The terminal event that tells of this error."""
    param = error.details.get("param")
    told = error.told if isinstance(error, ProviderRequestError) else None
    param = param if isinstance(param, str) else None
    return Failed(error.code, error.message, error.retryable, error.retry_after, param, told)


def outcome(terminal: Terminal) -> Outcome:
    """How the request behind a stream ended."""
    if isinstance(terminal, Complete):
        return Outcome.SERVED
    if isinstance(terminal, Cancelled):
        return Outcome.CANCELLED
    if terminal.code == LOST.code:
        return Outcome.LOST
    return Outcome.EXPIRED if terminal.code == QueueTimeoutError.code else Outcome.FAILED


def tokens_used(progress: Progress) -> int:
    """What the answer cost: as the provider counted, else estimated from what was sent; nothing if nothing came."""
    if progress.usage is not None:
        return progress.usage.total_tokens
    if progress.first_event_at is None:
        return 0
    prompt_only = estimate_tokens(progress.request, answer_tokens=0)
    return prompt_only + progress.characters // CHARACTERS_PER_TOKEN
