"""The words of the queue: a request as any process can serve it, its message in the line, and what failed for good."""

from dataclasses import dataclass
from typing import NamedTuple

from domain.model import CacheStatus, CallContext, CompletionRequest, Lease, StreamInfo

MAX_COST = 4
"""The most that one request costs in the queue's round robin."""
MAX_DELIVERIES = 2
"""How often a job is begun before it is given up: again only if nobody has seen any of its output (Q7)."""


class Job(NamedTuple):
    """One request from its admission to its end: all that a process needs to fill its stream."""

    info: StreamInfo
    context: CallContext
    request: CompletionRequest
    store_key: str | None = None
    """Where a complete answer goes in the cache; None: nowhere."""
    share_key: str | None = None
    """Under what equal requests find it while it runs; None: they do not."""
    cache: CacheStatus = CacheStatus.BYPASS
    reserved: int = 0
    """Tokens taken from the caller's limit."""

    @property
    def stream_id(self) -> str:
        """The stream that it fills."""
        return self.info.stream_id

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return self.context.caller.tenant


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A job that waits for a slot; `cost` is 1 to MAX_COST, `weight` and `limit` (slots at once) its tier's."""

    job: Job
    wait: float
    """Seconds that it may wait for its start; none are left if it comes too late."""
    cost: int = 1
    weight: int = 1
    limit: int = 10**6
    deliveries: int = 1
    """How often it was taken, this time included."""
    lease: Lease | None = None
    """Taken from another process: the right to fill its stream, which has passed to this one."""
    cancelled: bool = False
    """Whether somebody cancelled it when no process had it."""

    @property
    def stream_id(self) -> str:
        """Its name in the line."""
        return self.job.stream_id

    @property
    def tenant(self) -> str:
        """In whose line it is."""
        return self.job.tenant

    @property
    def holder(self) -> str:
        """Under what name it has its slot: each that fills the stream has its own."""
        return self.stream_id if self.lease is None else f"{self.stream_id}.{self.lease.fence}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One request in the line, as an operator sees it."""

    stream_id: str
    tenant: str
    ahead: int
    """How many of the tenant's own are before it."""
    cost: int
    deliveries: int
    """How often it was taken and came back."""
    wait: float
    """Seconds that it may wait yet."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that failed for good before any output, kept for an operator (Q7)."""

    job: Job
    reason: str
    """The code of its last error."""
    deliveries: int
    buried_at: float
    """Unix time, seconds."""
