"""The queue on Redis: one fair line for the fleet, in which every process keeps the requests of its own clients.

A message is taken together with its slot, in one script.

Order is the fleet's (deficit round robin, as in `adapters.memory.queue`); a request is served by the process whose turn
that makes it, which is told through its own key where another process has found a free slot. A process that dies
takes its requests along: its messages are dropped when their turn comes, within its lease.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice

from adapters.redis.admission_keys import (
    DEFICITS,
    HOLDERS,
    LINES,
    MESSAGES,
    OWNERS,
    PROCESS_MS,
    RING,
    SEQUENCE,
    TENANT,
)
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.script import Script
from adapters.redis.stream_mirror import PROCESS
from domain.model import MAX_COST, QueueMessage
from ports.occupancy import Occupancy
from ports.queue import MessageQueue

LEASE_MS = 15_000
"""Of a process, renewed by each `positions`: every two seconds while anything waits."""
TAKEN_MS = 2_000
"""Of a slot that was taken together with a message, until the process takes it over, or has nobody for it any more."""
KEPT_MS = 900_000
PAGE = 500
QUEUE_SECONDS = 0.1

PUT, TAKE, RESTORE = Script("queue_put"), Script("queue_take"), Script("queue_restore")
REMOVE, POSITIONS = Script("queue_remove"), Script("queue_positions")


class RedisMessageQueue(MessageQueue, Occupancy):
    """At most `max_depth` messages of the fleet, at most `max_per_tenant` of one tenant (Q1).

    Without Redis nobody joins (Q9); those who wait are served by their own process, first come first. Never raises.
    """

    def __init__(
        self, client: RedisClient, process: str, max_depth: int, max_per_tenant: int, slots_in_all: int
    ) -> None:
        self._client = client
        self._slots = slots_in_all
        self._process = process
        self._max_depth = max_depth
        self._max_per_tenant = max_per_tenant
        self._own: dict[str, QueueMessage] = {}

    async def put(self, message: QueueMessage) -> int | None:
        """Joins the line. None also while Redis is away."""
        ahead = await self._put(message)
        if ahead is not None:
            self._own[message.stream_id] = message
        return ahead

    async def take(self, passed_over: Collection[str]) -> QueueMessage | None:
        """The message whose turn it is, if it is of this process; the process whose it is hears of it."""
        if not self._own:
            return None
        bounds = (self._slots, TAKEN_MS, TENANT)
        args: list[str | int] = [self._process, MAX_COST, LINES, PROCESS, PROCESS_MS, *bounds, *passed_over]
        keys = (MESSAGES, RING, DEFICITS, OWNERS, HOLDERS)
        try:
            taken = await self._client.evalsha(TAKE, keys, args, timeout=QUEUE_SECONDS)
        except RedisClientError:
            return self._take_alone(passed_over)
        return self._own.pop(taken.decode(), None) if isinstance(taken, bytes) else None

    async def restore(self, message: QueueMessage) -> None:
        """First of its tenant again. What cannot be told to Redis now joins again when its place is asked for."""
        self._own[message.stream_id] = message
        args = (message.stream_id, message.tenant, message.cost, _entry(message, self._process), LINES)
        await self._tell(RESTORE, (MESSAGES, RING, DEFICITS), args)

    async def remove(self, stream_id: str) -> bool:
        """Leaves the line."""
        message = self._own.pop(stream_id, None)
        if message is None:
            return False
        await self._tell(REMOVE, (MESSAGES, RING, DEFICITS), (stream_id, message.tenant, LINES))
        return True

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
                    ahead = rank if isinstance(rank, int) and rank >= 0 else await self._put(message)
                    if ahead is not None:
                        positions[message.stream_id] = ahead
        return positions

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How many of this process wait."""
        return {"headgate_queue_depth": self._own.__len__}

    def _take_alone(self, passed_over: Collection[str]) -> QueueMessage | None:
        for message in self._own.values():
            if message.tenant not in passed_over:
                return self._own.pop(message.stream_id)
        return None

    async def _put(self, message: QueueMessage) -> int | None:
        bounds = (self._max_depth, self._max_per_tenant, LINES, KEPT_MS, LEASE_MS)
        args = (message.stream_id, message.tenant, _entry(message, self._process), self._process, *bounds)
        try:
            ahead = await self._client.evalsha(PUT, (MESSAGES, RING, SEQUENCE, OWNERS), args, timeout=QUEUE_SECONDS)
        except RedisClientError:
            return None
        return ahead if isinstance(ahead, int) and ahead >= 0 else None

    async def _tell(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> None:
        try:
            await self._client.evalsha(script, keys, args, timeout=QUEUE_SECONDS)
        except RedisClientError:
            return


def _entry(message: QueueMessage, process: str) -> str:
    """As the scripts read it; a tenant may have spaces in it, so it is last."""
    return f"{message.cost} {message.weight} {message.limit} {process} {message.tenant}"


def _pages(messages: list[QueueMessage]) -> Iterator[list[QueueMessage]]:
    rest = iter(messages)
    while page := list(islice(rest, PAGE)):
        yield page
