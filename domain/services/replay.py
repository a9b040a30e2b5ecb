"""Replays a dead letter: the same request in a stream of its own, which joins the fleet's line (Q7)."""

from collections.abc import Callable

from domain.errors import QueueFullError
from domain.jobs import QueueMessage
from domain.model import Caller, Cancelled, Status, StatusState, StreamInfo, Tier
from domain.services.admission import queue_cost
from domain.services.stream_ids import StreamIds, new_epoch
from ports.clock import Clock
from ports.dead_letters import DeadLetters
from ports.queue import MessageQueue
from ports.stream_log import StreamLog


class Replay:
    """`wait` is how many seconds the request may wait for its start, `grace` how many it may run without a reader."""

    def __init__(
        self,
        clock: Clock,
        log: StreamLog,
        ids: StreamIds,
        queue: MessageQueue,
        dead_letters: DeadLetters,
        tier: Callable[[Caller], Tier],
        *,
        wait: float,
        grace: float,
    ) -> None:
        self._clock = clock
        self._log = log
        self._ids = ids
        self._queue = queue
        self._dead_letters = dead_letters
        self._tier = tier
        self._wait = wait
        self._grace = grace

    async def replay(self, stream_id: str) -> StreamInfo | None:
        """The new stream; None if there is no such dead letter, or another operator was quicker.

        The letter goes once its job is in the line. So whatever this raises, it is not lost; of a process that dies in
        between, or a Redis that goes, there may be both. Raises `QueueFullError`, and another `QueueError` if the line
        or the letters cannot be reached.
        """
        letter = await self._dead_letters.find(stream_id)
        if letter is None:
            return None
        old, caller = letter.job, letter.job.context.caller
        info = StreamInfo(
            self._ids.create(caller.tenant),
            new_epoch(),
            old.info.model,
            int(self._clock.time()),
            old.info.thread_id,
        )
        # Its caller paid for it once; nobody waits for it with an equal request.
        context = old.context._replace(grace=self._grace)
        job = old._replace(info=info, context=context, share_key=None, reserved=0)
        lease = await self._log.open(info)
        self._log.append(lease, [Status(StatusState.QUEUED)])
        await self._log.settle(lease)
        tier = self._tier(caller)
        message = QueueMessage(job, self._wait, queue_cost(old.reserved), tier.weight, tier.max_concurrent_streams)
        if await self._queue.put(message) is None:
            raise QueueFullError("The queue is full.", thread_id=info.thread_id)
        if await self._dead_letters.exhume(stream_id) is None and await self._queue.remove(info.stream_id):
            self._log.append(lease, [Cancelled("replayed")])
            await self._log.settle(lease)
            return None
        return info
