"""Processes with a queue on one Redis, each with its stream log and slots, whose time is the test's."""

from dataclasses import dataclass, field, replace

from adapters.memory.manual_clock import ManualClock
from adapters.redis.queue import RedisMessageQueue
from adapters.redis.slots import RedisSlots
from adapters.redis.stream_log import RedisStreamLog
from domain.jobs import QueueMessage
from domain.model import Event, Lease, Status, StatusState
from ports.fleet import FleetEvent
from tests import jobs
from tests.contracts.redis_time import StillRedisClient

LEASE = 15.0
QUEUED, STARTED = Status(StatusState.QUEUED), Status(StatusState.STARTED)


class Process:
    """A queue, its stream log, and the slots."""

    def __init__(self, client: StillRedisClient, total: int, wait: float) -> None:
        self.clock = ManualClock()
        self.log = RedisStreamLog(client, self.clock, max_bytes=2**24, max_wait=wait)
        self.queue = RedisMessageQueue(client, self.log.process, 100, 50, total, wait)
        self.slots = RedisSlots(client, self.clock, total, lambda _: 100)
        self.longest = wait
        self.taken: list[str] = []
        self.log.listen(FleetEvent.TAKEN, self.taken.append)

    async def wait(self, name: str, tenant: str = "a", prompt: str = "hi") -> QueueMessage:
        """Opens a stream and joins the line."""
        message = jobs.message(tenant, name)
        message = replace(message, job=jobs.job(tenant, name, prompt), wait=self.longest)
        lease = await self.log.open(message.job.info)
        await self.append(lease, QUEUED)
        assert await self.queue.put(message) is not None
        return message

    async def append(self, lease: Lease, *events: Event) -> None:
        self.log.append(lease, events)
        await self.log.settle(lease)


@dataclass
class Fleet:
    client: StillRedisClient
    processes: list[Process] = field(default_factory=list)

    def start(self, total: int = 10, wait: float = 60.0) -> Process:
        process = Process(self.client, total, wait)
        process.log.start()
        self.processes.append(process)
        return process

    async def count(self, command: str, key: str) -> object:
        return await self.client.execute(command, key, timeout=5.0)


async def overdue(fleet: Fleet, taker: Process) -> QueueMessage | None:
    """The owner is told, and does not look."""
    assert await taker.queue.take(()) is None
    await fleet.client.advance(0.3)
    return await taker.queue.take(())
