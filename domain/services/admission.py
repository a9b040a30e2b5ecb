"""Who may start: the caller's limits, then a slot, then the waiting line in front of the slots."""

import asyncio
from dataclasses import dataclass, field

from domain.errors import QueueFullError, RateLimitExceededError, RequestTooCostlyError
from domain.model import Caller, CompletionRequest, Cost, QueueMessage, Verdict
from ports.clock import Clock
from ports.limiter import Limiter
from ports.queue import MessageQueue
from ports.slots import Slots

CHARACTERS_PER_TOKEN = 4
DEFAULT_ANSWER_TOKENS = 512


def estimate_tokens(request: CompletionRequest, answer_tokens: int | None = None) -> int:
    """What a request may cost: a quarter of its characters, and the longest answer that it allows.

    `answer_tokens` stands for the answer where that is known. A tokenizer would cost milliseconds; this, microseconds.
    """
    characters = sum(len(message.content) for message in request.messages if isinstance(message.content, str))
    parts = sum(len(str(message.content)) for message in request.messages if isinstance(message.content, list))
    if answer_tokens is not None:
        return (characters + parts) // CHARACTERS_PER_TOKEN + answer_tokens
    limit = request.options.get("max_completion_tokens") or request.options.get("max_tokens")
    answer = limit if isinstance(limit, int) else DEFAULT_ANSWER_TOKENS
    return (characters + parts) // CHARACTERS_PER_TOKEN + answer


@dataclass(eq=False, slots=True)
class Ticket:
    """One stream's place: in the line (`granted` is pending, `ahead` counts the caller's own) or in a slot."""

    caller: Caller
    stream_id: str
    granted: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    ahead: int | None = None


class Admission:
    """Limits, slots and the queue. What it takes, it gives back in `settle` and `leave`."""

    def __init__(
        self,
        clock: Clock,
        limiter: Limiter,
        slots: Slots,
        queue: MessageQueue,
        *,
        max_wait: float,
    ) -> None:
        self._clock = clock
        self._limiter = limiter
        self._slots = slots
        self._queue = queue
        self._max_wait = max_wait
        self._waiting: dict[str, Ticket] = {}

    async def reserve(self, caller: Caller, cost: Cost, thread_id: str) -> Verdict:
        """Takes the cost from the caller's limits. Raises `RateLimitExceededError` or `RequestTooCostlyError`."""
        verdict = await self._limiter.admit(caller, cost)
        if verdict.admitted:
            return verdict
        if verdict.retry_after is None:
            raise RequestTooCostlyError(
                "The request needs more tokens than this tier ever allows at once; ask for a shorter answer.",
                thread_id=thread_id,
                details={"tokens": cost.tokens},
            )
        raise RateLimitExceededError(
            "Over the rate limit of this tier.", thread_id=thread_id, details=_quota_details(verdict)
        )

    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """Corrects the tokens of an admitted call, once, at its end."""
        await self._limiter.settle(caller, reserved, used)

    async def enter(self, caller: Caller, stream_id: str, thread_id: str) -> Ticket:
        """A slot, or a place in the line. Raises `QueueFullError`."""
        ticket = Ticket(caller, stream_id)
        if not self._waiting and await self._slots.acquire(caller, stream_id):
            ticket.granted.set_result(None)
            return ticket
        deadline = self._clock.monotonic() + self._max_wait
        self._waiting[stream_id] = ticket
        ticket.ahead = await self._queue.put(QueueMessage(stream_id, caller.tenant, deadline))
        if ticket.ahead is None:
            del self._waiting[stream_id]
            raise QueueFullError("The queue is full.", thread_id=thread_id, details={"retry_after": 1})
        await self._dispatch()
        return ticket

    async def leave(self, ticket: Ticket) -> None:
        """Frees the slot, or the place in the line, and lets the next in. Called once for each ticket."""
        if ticket.granted.done():
            await self._slots.release(ticket.stream_id)
        else:
            ticket.granted.cancel()
            del self._waiting[ticket.stream_id]
            await self._queue.remove(ticket.stream_id)
        await self._dispatch()

    async def _dispatch(self) -> None:
        """Gives free slots to those who wait, first come first served among callers below their own bound."""
        while self._waiting:
            message = await self._queue.take(self._eligible)
            if message is None:
                return
            ticket = self._waiting.pop(message.stream_id)
            # `_eligible` asked for a free slot and nothing was awaited since: in one process this cannot fail.
            await self._slots.acquire(ticket.caller, ticket.stream_id)
            ticket.granted.set_result(None)

    def _eligible(self, message: QueueMessage) -> bool:
        ticket = self._waiting.get(message.stream_id)
        return ticket is not None and self._slots.free(ticket.caller)


def _quota_details(verdict: Verdict) -> dict[str, str | int | float | bool | None]:
    return {"retry_after": verdict.retry_after}
