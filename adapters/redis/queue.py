"""The queue on Redis: one fair line for the fleet, whose messages any process can serve.

A message is taken together with its slot, in one script; by the process whose client waits, if that is alive and quick,
as then nothing has to travel; else by any other, and with it the stream: its job is in Redis too, and its lease passes
to who takes it. What a process took and then died with, before there was any output, comes back into the line.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import msgspec

from adapters.redis.admission_keys import (
    DEFICITS,
    DUE,
    HOLDERS,
    JOBS,
    LINES,
    MESSAGES,
    OWNERS,
    PROCESS_MS,
    RING,
    SEQUENCE,
    TAKEN,
    TENANT,
    TOLD,
    WORKERS,
)
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.job_codec import UnreadableJobError, decode_job, encode_job
from adapters.redis.script import Script
from adapters.redis.stream_appender import LEASE_SECONDS
from adapters.redis.stream_follower import PRESENCE_MS
from adapters.redis.stream_mirror import LOG, META, PROCESS
from domain.errors import QueueError
from domain.jobs import MAX_COST, QueueMessage, Waiting
from domain.model import Lease
from ports.occupancy import Occupancy
from ports.queue import MessageQueue

LEASE_MS = 15_000
"""Of a process, renewed by each `take`: every second."""
STREAM_LEASE_MS = round(LEASE_SECONDS * 1000)
TAKEN_MS = 2_000
"""Of a slot that was taken together with a message, until the process takes it over, or has nobody for it any more."""
PATIENCE_MS = 250
"""How long a process that is told of a slot may take to look, before others serve what it has waiting."""
KEPT_MS = 900_000
"""How much longer than it may wait is kept what waits: long enough to begin it again."""
PAGE = 500
QUEUE_SECONDS = 0.1
LIST_SECONDS = 2.0

PUT, TAKE, RESTORE = Script("queue_put"), Script("queue_take"), Script("queue_restore")
REMOVE, POSITIONS, RECLAIM = Script("queue_remove"), Script("queue_positions"), Script("queue_reclaim")
LIST = Script("queue_list")
LINE = (MESSAGES, RING, DEFICITS)
TAKEN_OVER = -2

_Taken = tuple[bytes, int, int, int, int, int, int, int, bytes, int, bytes | None]
_Row = tuple[bytes, bytes, int, int, int, int]


class RedisMessageQueue(MessageQueue, Occupancy):
    """At most `max_depth` messages of the fleet, at most `max_per_tenant` of one tenant (Q1), none for longer than
    `max_wait` seconds.

    Without Redis nobody joins (Q9); those who wait are served by their own process, first come first.
    """

    def __init__(
        self,
        client: RedisClient,
        process: str,
        max_depth: int,
        max_per_tenant: int,
        slots_in_all: int,
        max_wait: float,
    ) -> None:
        self._client = client
        self._slots = slots_in_all
        self._process = process
        self._max_depth = max_depth
        self._max_per_tenant = max_per_tenant
        self._own: OrderedDict[str, QueueMessage] = OrderedDict()
        self._kept_ms = KEPT_MS + round(1000 * max_wait)
        self._only_own = 0
        self._worker: tuple[str | int, ...] = ()

    def enlist(self) -> None:
        """This process is a worker: it is told of slots first, and serves what waits in any process."""
        self._worker = (self._process, LEASE_MS)

    def retire(self) -> None:
        """What others have waiting, they keep."""
        self._only_own = 1
        self._worker = ()

    async def put(self, message: QueueMessage) -> int | None:
        """Joins the line. It is known here before Redis knows it: a slot may come for it before the reply."""
        self._own[message.stream_id] = message
        ahead = await self._put(message)
        if ahead is None:
            self._own.pop(message.stream_id, None)
        return ahead

    async def take(self, passed_over: Collection[str]) -> QueueMessage | None:
        """The message whose turn it is; the process whose it is hears of it first."""
        keys = (*LINE, OWNERS, HOLDERS, TAKEN, DUE, TOLD, WORKERS)
        prefixes = (LINES, PROCESS, TENANT, JOBS, META, LOG)
        times = (PROCESS_MS, self._slots, TAKEN_MS, STREAM_LEASE_MS, self._kept_ms, PRESENCE_MS, PATIENCE_MS)
        args: list[str | int] = [self._process, MAX_COST, *prefixes, *times, self._only_own, LEASE_MS, *passed_over]
        while True:
            try:
                taken = await self._client.evalsha(TAKE, keys, args, timeout=QUEUE_SECONDS)
            except RedisClientError:
                return self._take_alone(passed_over)
            if taken is None:
                return None
            row = msgspec.convert(taken, _Taken)
            name, fence, deliveries, wait, cancelled, cost, weight, limit, tenant, had_slot, job = row
            stream_id = name.decode()
            own = self._own.pop(stream_id, None)
            if fence:
                break
            if own is not None:
                return replace(own, deliveries=deliveries)
            # It left in this moment; or it was served, and Redis has forgotten that: then it may run in its slot yet.
            await self._remove(stream_id, tenant.decode(), holder="" if had_slot else stream_id)
        try:
            waiting = decode_job(job or b"")
        except UnreadableJobError:
            return None  # of another version of the service, whose processes get it when it comes back
        lease = Lease(stream_id, fence)
        return QueueMessage(waiting, wait / 1000, cost, weight, limit, deliveries, lease, bool(cancelled))

    async def restore(self, message: QueueMessage) -> None:
        """First of its tenant again. What cannot be told to Redis now joins again when its place is asked for."""
        owner, wait = "-", max(0, round(message.wait * 1000))
        if message.lease is None:
            self._own[message.stream_id] = message
            self._own.move_to_end(message.stream_id, last=False)
            owner = self._process
        place = (message.cost, _numbers(message), owner, message.deliveries - 1, wait, LINES, self._kept_ms)
        keys = (*LINE, TAKEN, DUE, HOLDERS, TENANT + message.tenant)
        await self._tell(RESTORE, keys, (message.stream_id, message.tenant, *place, message.holder))

    async def remove(self, stream_id: str) -> bool:
        """Leaves the line; not what another process has taken over."""
        message = self._own.pop(stream_id, None)
        if message is None:
            return False
        await self._remove(stream_id, message.tenant, stream_id)
        return True

    async def reclaim(self) -> None:
        """A few at a time: it is asked for each second, in each process."""
        args = (LINES, META, JOBS, self._kept_ms, PAGE, *self._worker)
        await self._tell(RECLAIM, (*LINE, TAKEN, DUE, OWNERS, WORKERS), args)

    async def positions(self) -> Mapping[str, int]:
        """Of those who wait in this process. Who is not in the line any more, as Redis lost it, joins it again."""
        positions: dict[str, int] = {}
        for page in _pages(list(self._own.values())):
            names = [name for message in page for name in (message.stream_id, message.tenant)]
            try:
                ranks = await self._client.evalsha(POSITIONS, (OWNERS,), (self._process, LEASE_MS, LINES, *names))
            except RedisClientError:
                break
            for message, rank in zip(page, ranks if isinstance(ranks, list) else (), strict=False):
                if message.stream_id in self._own:
                    try:
                        ahead = rank if isinstance(rank, int) and rank >= 0 else await self._put(message)
                    except QueueError:
                        break
                    if ahead is not None:
                        positions[message.stream_id] = ahead
        return positions

    async def list(self) -> Sequence[Waiting]:
        """Of the whole fleet."""
        try:
            rows = await self._client.evalsha(LIST, (MESSAGES, RING), (LINES,), timeout=LIST_SECONDS)
        except RedisClientError as error:
            raise QueueError.from_exception(error, details={"word": error.word}) from error
        return [
            Waiting(stream_id.decode(), tenant.decode(), ahead, cost, deliveries, wait / 1000)
            for stream_id, tenant, ahead, cost, deliveries, wait in msgspec.convert(rows, list[_Row])
        ]

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How many of this process wait."""
        return {"headgate_queue_depth": self._own.__len__}

    def _take_alone(self, passed_over: Collection[str]) -> QueueMessage | None:
        for message in self._own.values():
            if message.tenant not in passed_over:
                return self._own.pop(message.stream_id)
        return None

    async def _put(self, message: QueueMessage) -> int | None:
        stream_id = message.stream_id
        bounds = (self._max_depth, self._max_per_tenant, LINES, self._kept_ms, LEASE_MS, round(message.wait * 1000))
        args = (stream_id, message.tenant, _numbers(message), self._process, *bounds, encode_job(message.job))
        keys = (MESSAGES, RING, SEQUENCE, OWNERS, TAKEN, DUE, f"{META}{stream_id}}}", JOBS + stream_id)
        try:
            ahead = await self._client.evalsha(PUT, keys, args, timeout=QUEUE_SECONDS)
        except RedisClientError as error:
            raise QueueError.from_exception(error, details={"word": error.word}) from error
        if ahead == TAKEN_OVER:
            self._own.pop(stream_id, None)
        return ahead if isinstance(ahead, int) and ahead >= 0 else None

    async def _remove(self, stream_id: str, tenant: str, holder: str) -> None:
        keys = (*LINE, TAKEN, DUE, f"{META}{stream_id}}}", JOBS + stream_id, HOLDERS, TENANT + tenant)
        await self._tell(REMOVE, keys, (stream_id, tenant, LINES, holder))

    async def _tell(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> None:
        try:
            await self._client.evalsha(script, keys, args, timeout=QUEUE_SECONDS)
        except RedisClientError:
            return


def _numbers(message: QueueMessage) -> str:
    """As the scripts have it."""
    return f"{message.cost} {message.weight} {message.limit}"


def _pages(messages: list[QueueMessage]) -> Iterator[list[QueueMessage]]:
    rest = iter(messages)
    while page := list(islice(rest, PAGE)):
        yield page
