"""Who may start: the caller's limits, then a slot, then the waiting line in front of the slots."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from domain.errors import QueueError, QueueFullError, RateLimitExceededError, RequestTooCostlyError, StreamingError
from domain.jobs import MAX_COST, Job, QueueMessage
from domain.model import Caller, Cost, Status, StatusState, Tier, Verdict
from domain.part import take_turns
from domain.services.refusals import refusal_details
from ports.clock import Clock
from ports.defects import CALLBACK_ERRORS, LOGGED_DEFECTS, Defects, Wall, Where
from ports.limiter import Limiter
from ports.queue import MessageQueue
from ports.slots import Slots

COST_TOKENS = 4_096
"""What costs 1 in the queue."""
LOOK_SECONDS = 0.25
LOOKS_PER_STATUS = 8
"""A place is told each 2 s at most (Q5)."""
LOOKS_PER_RECLAIM = 4
"""Once a second everybody looks after what dead processes have left (Q8)."""
LOOKS_APART, MAX_APART = 8, 1_000
"""While the line cannot be reached, so many wait two seconds for a slot of this process (Q9)."""
RATE_SAMPLES, MIN_SAMPLES = 64, 4
"""How many of the latest starts an estimate rests on, here and of what was handed over."""
MIN_SECONDS = 1.0
PREPAID = Cost(requests=1, tokens=0)
"""What a request is charged before it is read, where that takes time (G5)."""


def queue_cost(tokens: int) -> int:
    """What a request that may use so many tokens costs in the queue: 1 to MAX_COST, four times the tokens for one more.

    Coarse on purpose: a round must stay short, and the tokens are an estimate.
    """
    return min(MAX_COST, 1 + max(0, (tokens // COST_TOKENS).bit_length() + 1) // 2)


@dataclass(eq=False, slots=True)
class Ticket:
    """One stream's place: in the line (`granted` is pending, `ahead` counts the caller's own) or in a slot."""

    caller: Caller
    holder: str
    """Whose slot it is: the stream's id, but for a stream that was another process's before."""
    message: QueueMessage | None = None
    """As it stands in the line, or was taken from it; None if it never had to wait."""
    granted: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    ahead: int | None = None
    moved: Callable[[Status], None] | None = None
    """Told when the place in the line has changed; None before there is a stream to tell it on, and once that ends."""


class Admission:
    """Limits, slots and the queue. What it takes, it gives back in `settle` and `leave`.

    `tier` is what a caller may use, `wait` how many seconds a request may wait for its start. `run` must run beside it.
    `adopt` is given what other processes had in the line and this one has a slot for.
    """

    def __init__(
        self,
        clock: Clock,
        limiter: Limiter,
        slots: Slots,
        queue: MessageQueue,
        tier: Callable[[Caller], Tier],
        *,
        wait: float,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._wall = Wall(defects, Where.ADMISSION)
        self._clock = clock
        self._limiter = limiter
        self._slots = slots
        self._queue = queue
        self._tier = tier
        self.wait = wait
        self.adopt: Callable[[QueueMessage, Ticket], None] | None = None
        self._closed = False
        self._waiting: dict[str, Ticket] = {}
        self._apart = 0
        self._pokes: set[asyncio.Task[None]] = set()
        self._started: deque[float] = deque(maxlen=RATE_SAMPLES)

    async def reserve(self, caller: Caller, cost: Cost, thread_id: str, *, prepaid: bool = False) -> Verdict:
        """Takes the cost from the caller's limits; of a `prepaid` call its tokens alone: PREPAID was taken before, and
        comes back if they are refused (L2). Raises `RateLimitExceededError` or `RequestTooCostlyError`."""
        verdict = await self._limiter.admit(caller, cost._replace(requests=0) if prepaid else cost)
        if verdict.admitted:
            return verdict
        if prepaid:
            await self._limiter.refund(caller, PREPAID)
            verdict = _refunded(verdict)
        if verdict.retry_after is None:
            raise RequestTooCostlyError(
                "The request needs more tokens than this tier ever allows at once; ask for a shorter answer.",
                thread_id=thread_id,
                details={"tokens": cost.tokens, **refusal_details(verdict)},
            )
        raise RateLimitExceededError(
            "Over the rate limit of this tier.", thread_id=thread_id, details=refusal_details(verdict)
        )

    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """Corrects the tokens of an admitted call, once, at its end."""
        await self._limiter.settle(caller, reserved, used)

    async def refund(self, caller: Caller, cost: Cost) -> None:
        """Gives back what an admitted call took: it was refused for another reason, which costs nothing (L2)."""
        await self._limiter.refund(caller, cost)

    async def enter(self, job: Job) -> Ticket:
        """A slot, or a place in the line; whatever it raises, neither is kept. Raises `QueueFullError`."""
        caller, stream_id = job.context.caller, job.stream_id
        ticket = Ticket(caller, stream_id)
        if not self._waiting and await self._slots.acquire(caller, stream_id):
            self._grant(ticket)
            return ticket
        tier = self._tier(caller)
        cost = queue_cost(job.reserved)
        message = ticket.message = QueueMessage(job, self.wait, cost, tier.weight, tier.max_concurrent_streams)
        self._waiting[stream_id] = ticket
        try:
            ticket.ahead = await self._join(ticket, message)
            await self._serve()
            if ticket.ahead is None and not ticket.granted.done():
                await self._pass_by(ticket, message)
        except BaseException:
            await self._withdraw(ticket)
            raise
        return ticket

    async def _join(self, ticket: Ticket, message: QueueMessage) -> int | None:
        """Its place in the line; None if that is full."""
        try:
            return await self._queue.put(message)
        except QueueError:
            return await self._wait_apart(ticket, message)

    async def _pass_by(self, ticket: Ticket, message: QueueMessage) -> None:
        """The line is full, maybe of those who have all the slots that they may have: they keep no other from one."""
        if not await self._slots.acquire(ticket.caller, ticket.holder):
            raise _refusal("The queue is full.", message)
        self._waiting.pop(ticket.holder, None)
        ticket.message = None
        self._grant(ticket)

    async def _wait_apart(self, ticket: Ticket, message: QueueMessage) -> int | None:
        """The line cannot be reached: waits for a slot of this process, or until it can (Q9). Its place, None if that
        is full."""
        refusal = _refusal("The queue cannot be reached, and no slot came free in time.", message)
        if self._apart >= MAX_APART:
            raise refusal
        self._apart += 1
        try:
            for _ in range(LOOKS_APART):
                await self._clock.sleep(LOOK_SECONDS)
                if ticket.granted.done():
                    return 0
                if ticket.ahead is not None:  # it has joined with all the others who wait here
                    return ticket.ahead
            return await self._queue.put(message)
        except QueueError as error:
            if ticket.granted.done():
                return 0
            raise refusal from error
        finally:
            self._apart -= 1

    async def leave(self, ticket: Ticket) -> None:
        """Frees the slot, or the place in the line, and lets the next in. Called once for each ticket."""
        awaited = bool(self._waiting)
        awaited |= await self._withdraw(ticket)
        if awaited:
            await self._serve()

    async def _withdraw(self, ticket: Ticket) -> bool:
        """Whether a slot came free for which somebody may be waiting in another process."""
        if ticket.granted.done():
            return await self._slots.release(ticket.holder)
        self._drop(ticket)
        await self._queue.remove(ticket.holder)
        return False

    def forget(self, ticket: Ticket) -> None:
        """Waits for it no more, and leaves its message in the line: it is another process's now, or shall be."""
        self._drop(ticket)
        self._started.append(self._clock.monotonic())  # there: the line moves on

    def _drop(self, ticket: Ticket) -> None:
        ticket.granted.cancel()
        self._waiting.pop(ticket.holder, None)

    def status(self, ticket: Ticket) -> Status:
        """Where it stands, and a guess at how long it will (Q5)."""
        return Status(StatusState.QUEUED, ticket.ahead, self._estimate(ticket))

    async def run(self) -> None:
        """Tells those who wait where they stand, and looks for slots that came free elsewhere, until cancelled.

        A defect costs one look, and all others who wait are looked after as before. If every look has one, nobody is
        let in any more: then this ends, and with it the process.
        """
        looks = count(1)

        async def turn() -> None:
            await self._clock.sleep(LOOK_SECONDS)
            await self._look(next(looks))

        await take_turns(turn, Where.ADMISSION, self._defects)

    async def _look(self, turns: int) -> None:
        reclaims = turns % LOOKS_PER_RECLAIM == 0
        if reclaims:
            await self._queue.reclaim()
        if self._waiting or reclaims:
            await self._dispatch()
        if turns % LOOKS_PER_STATUS == 0:  # also if nobody waits: the line may have what another process has now
            await self.tell()

    def retire(self) -> None:
        """Takes on no work of other processes any more."""
        self._queue.retire()

    def close(self) -> None:
        """Lets nobody in any more: who waits has left, or is left to other processes."""
        self._closed = True

    def poke(self, _stream_id: str = "") -> None:
        """There may be a slot for somebody who waits here: another process says so."""
        self._dispatching()

    async def _serve(self) -> None:
        """Lets in those for whom there are slots: in a task of its own, as whoever is cancelled meanwhile must not take
        with it what was taken from the line for another."""
        await asyncio.shield(self._dispatching())

    def _dispatching(self) -> "asyncio.Task[None]":
        """The task never raises: what is wrong with one who waits is not the business of another who comes or goes."""

        async def dispatch() -> None:
            with self._wall:
                await self._dispatch()

        task = asyncio.create_task(dispatch())
        self._pokes.add(task)
        task.add_done_callback(self._pokes.discard)
        return task

    async def tell(self) -> None:
        """Tells those who are further to the front than they were told: a place never grows, though who was taken may
        come back (Q5)."""
        positions = await self._queue.positions()
        for ticket in list(self._waiting.values()):
            ahead = positions.get(ticket.holder)
            if ahead is None or ticket.granted.done():
                continue
            if ticket.ahead is None or ahead < ticket.ahead:
                ticket.ahead = ahead
                if ticket.moved is not None:
                    try:
                        ticket.moved(self.status(ticket))
                    except StreamingError:
                        pass  # its stream is full, or not ours any more: that is its own business
                    except CALLBACK_ERRORS as error:
                        ticket.moved = None
                        self._defects.report(Where.ADMISSION, error)

    async def _dispatch(self) -> None:
        """Gives free slots to those who wait, in the queue's order, among callers below their own bound."""
        full = set[str]()
        while not self._closed and self._slots.room():
            message = await self._queue.take(full)
            if message is None:
                return
            ticket = self._ticket(message)
            if ticket is None or ticket.granted.done():
                continue  # it left while it was taken
            if not await self._slots.acquire(ticket.caller, message.holder):
                full.add(message.tenant)
                await self._queue.restore(message)
                continue
            if ticket.granted.done():
                await self._slots.release(message.holder)
                continue
            self._waiting.pop(message.stream_id, None)
            ticket.message = message
            self._grant(ticket)
            if message.lease is not None and self.adopt is not None:
                try:
                    self.adopt(message, ticket)
                except CALLBACK_ERRORS as error:  # the message comes back into the line when its lease is over
                    self._defects.report(Where.ADMISSION, error)
                    await self._slots.release(message.holder)

    def _ticket(self, message: QueueMessage) -> Ticket | None:
        """Of a request that waits here, or of one that did elsewhere."""
        if message.lease is None:
            return self._waiting.get(message.stream_id)
        return Ticket(message.job.context.caller, message.holder)

    def _grant(self, ticket: Ticket) -> None:
        ticket.granted.set_result(None)
        self._started.append(self._clock.monotonic())

    def _estimate(self, ticket: Ticket) -> float | None:
        """By how fast requests have started of late: each round serves one of every caller that waits."""
        if len(self._started) < MIN_SAMPLES or ticket.ahead is None:
            return None
        seconds = self._clock.monotonic() - self._started[0]
        if seconds < MIN_SECONDS:
            return None
        callers = len({other.caller.tenant for other in self._waiting.values()})
        before = min(len(self._waiting), (ticket.ahead + 1) * callers)
        return round(before * seconds / len(self._started), 1)


def _refusal(text: str, message: QueueMessage) -> QueueFullError:
    return QueueFullError(text, thread_id=message.job.context.thread_id, details={"retry_after": 1})


def _refunded(verdict: Verdict) -> Verdict:
    """A refusal as it stands once PREPAID has come back."""
    quota = verdict.requests
    if quota is None:
        return verdict
    remaining, reset = min(quota.limit, quota.remaining + 1), max(0.0, quota.reset - quota.window / quota.limit)
    return verdict._replace(requests=quota._replace(remaining=remaining, reset=reset))
