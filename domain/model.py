"""The words of the house: requests, events, streams, callers. Immutable values and nothing else.

What each request makes is a NamedTuple: one is made in C, where a frozen dataclass sets each field by a call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self, TypeAlias, Union

from domain.delta import Delta, Dialect, Usage
from domain.errors import UpstreamErrorBody

Json: TypeAlias = Union[bool, int, float, str, "list[Json]", "dict[str, Json]", None]
JsonObject: TypeAlias = dict[str, Json]
NONE: Mapping[str, Json] = {}
"""No parameters."""


class Message(NamedTuple):
    """One turn of the conversation. `extra` holds what the sender added beyond role and content."""

    role: str
    content: Json
    extra: Mapping[str, Json] = NONE


class CompletionRequest(NamedTuple):
    """What is asked of a model, whatever dialect it came in.

    `options` are all other parameters under OpenAI's names, those that Headgate does not know included: they are part
    of the cache key and reach the provider as they are.
    """

    model: str
    messages: Sequence[Message]
    options: Mapping[str, Json] = NONE
    size: int = 0
    """Bytes of the JSON that it came in, about, for those who take a large one in steps; no part of what is asked."""


class Caller(NamedTuple):
    """Who asks. Without keys each address is a tenant of its own."""

    tenant: str
    tier: str = "default"


class CallContext(NamedTuple):
    """How one call wants to be served, apart from what it asks."""

    thread_id: str
    caller: Caller
    door: Dialect = Dialect.NATIVE
    lookup: bool = True
    """Whether a stored answer, or one in flight, may serve it (`Cache-Control: no-cache` says no)."""
    store: bool = True
    """Whether its answer may be stored and shared (`no-store` says no)."""
    grace: float = 0.0
    """Seconds that the work goes on after its last reader left."""


class StatusState(StrEnum):
    """What a status event tells."""

    QUEUED = "queued"
    STARTED = "started"


class Status(NamedTuple):
    """Where a request is while it has no answer yet. `position` counts the caller's own requests ahead."""

    state: StatusState
    position: int | None = None
    estimated_wait: float | None = None
    """Seconds that it may take until the request starts: a guess, from how fast others started."""


class Complete(NamedTuple):
    """The end of a whole answer: why it ended, what it cost, and who gave it."""

    finish_reason: str
    usage: Usage | None
    model: str
    target: str


class Failed(NamedTuple):
    """The end of an answer that failed. `code` is that of the error's class; `message` is fit for the caller."""

    code: str
    message: str
    retryable: bool
    retry_after: float | None = None
    param: str | None = None
    told: UpstreamErrorBody | None = None
    """What the provider said about the request: for the caller, and no log (R9)."""


class Cancelled(NamedTuple):
    """The end of an answer that somebody stopped. `reason` is a word: `requested`, `orphaned`, `draining`."""

    reason: str


Terminal: TypeAlias = Complete | Failed | Cancelled
Event: TypeAlias = Delta | Status | Terminal
TERMINAL = (Complete, Failed, Cancelled)
"""For `isinstance`: nothing follows an event of these in its stream."""


class Batch(NamedTuple):
    """Events that move together; `first` is the seq of the first."""

    first: int
    events: Sequence[Event]


class Position(NamedTuple):
    """A place in a stream: the event with this id was seen."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The position that `text` writes, or None: an epoch of lower-case letters and digits, a dash, a seq."""
        epoch, dash, seq = text.partition("-")
        if not dash or not (0 < len(epoch) <= 32 and 0 < len(seq) <= 12 and text.isascii()):
            return None
        if not (epoch.isalnum() and epoch == epoch.lower() and seq.isdecimal()) or (seq[0] == "0" and seq != "0"):
            return None
        return cls(epoch, int(seq))


class StreamInfo(NamedTuple):
    """What is fixed about a stream when it begins."""

    stream_id: str
    epoch: str
    model: str
    """The public name that the caller asked for."""
    created: int
    """Unix time, seconds."""
    thread_id: str


class Lease(NamedTuple):
    """The right to append to a stream. `fence` grows with each holder: an older one can append nothing."""

    stream_id: str
    fence: int


class Cost(NamedTuple):
    """What a request takes from its caller's limits."""

    requests: int = 1
    tokens: int = 0


class Quota(NamedTuple):
    """How one limit stands: `limit` per `window` seconds, `remaining` now, whole again in `reset` seconds."""

    limit: int
    window: int
    remaining: int
    reset: float


class Verdict(NamedTuple):
    """A limiter's decision. Not admitted and `retry_after` None: the cost is above the burst and can never pass."""

    admitted: bool
    requests: Quota | None = None
    tokens: Quota | None = None
    retry_after: int | None = None


class Place(NamedTuple):
    """A target in a route. Neighbours with a weight share its requests."""

    target: str
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """What a caller of this tier may use: rates per minute, and streams at once."""

    requests_per_minute: int
    tokens_per_minute: int
    max_concurrent_streams: int
    weight: int = 1
    """Its share of the slots while there is a queue, beside tiers of weight 1."""


class OutagePolicy(StrEnum):
    """What the limiter does while the fleet's limits cannot be asked (L5)."""

    SHARE = "share"
    """Each process enforces its part."""
    DENY = "deny"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """An open breaker as the fleet sees it.

    The target is shut out until `open_until`, monotonic seconds of this process; then one probe decides. `generation`
    grows with each opening of the target and is never used again.
    """

    open_until: float
    generation: int
    openings: int = 1
    """How often it has opened since it was closed: the cooldown doubles with each."""
    reason: str = ""
    """The code of the failure that opened it, or `OPENED_BY_HAND`."""
    failures: int = 0
    """How many failures led to it."""
    since: float = 0.0
    """Unix time at which it was last closed; for people."""


OPENED_BY_HAND = "operator"
"""The reason of a breaker that an operator has opened."""


class Outcome(StrEnum):
    """How a request ended."""

    SERVED = "served"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED_FULL = "rejected_full"
    REJECTED_RATE = "rejected_rate"
    EXPIRED = "expired"
    LOST = "lost"
    """Another process ended its stream, as this one had not been heard of for a lease."""


class CacheStatus(StrEnum):
    """What served a request: the value of `X-Cache`."""

    HIT_L1 = "hit-l1"
    HIT_L2 = "hit-l2"
    COALESCED = "coalesced"
    MISS = "miss"
    BYPASS = "bypass"


GAP_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets in which pauses within an answer are counted; seconds."""


class RequestRecord(NamedTuple):
    """All that is worth knowing about one finished request; no word of the prompt or the answer."""

    thread_id: str
    stream_id: str
    tenant: str
    door: Dialect
    model: str
    target: str | None
    outcome: Outcome
    code: str | None
    cache: CacheStatus
    attempts: int
    usage: Usage | None
    first_event_seconds: float | None
    total_seconds: float
    stages: tuple[tuple[str, float], ...] = ()
    """The finished stages and their seconds, if the thread was tracked."""
    gaps: tuple[int, ...] = ()
    """How many pauses between two batches fell into each bucket of GAP_BOUNDS; the last is above all of them."""
    rescues: int = 0
    """How many of the attempts went on from what an earlier one had sent (R6)."""
    failures: tuple[tuple[str, str], ...] = ()
    """Target and code of each attempt that failed, in order."""
