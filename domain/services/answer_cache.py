"""Complete answers, kept in two tiers: the key, the look-up, and what may be stored (K1-K5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from domain import stages
from domain.delta import Delta, Shape
from domain.errors import CacheError
from domain.events import Answer, Events, columns
from domain.model import CacheStatus, Caller, Complete, CompletionRequest, Json
from domain.services.execution_tracker import ExecutionTracker
from domain.weight import weight
from ports.cache import Cache

# What cannot change the answer. Everything else is part of the key, unknown parameters included (K2).
IGNORED = frozenset({"user", "metadata", "stream", "stream_options", "store", "safety_identifier", "prompt_cache_key"})
# Finishes whose answers are not worth a second look: the provider withheld something.
UNFIT = frozenset({"content_filter"})


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What may be cached, and for how long."""

    enabled: bool = True
    ttl_seconds: float = 3600.0
    shared_across_tenants: bool = False
    exclude_sampled: bool = False
    """Leave out requests that ask for randomness: all but `temperature` 0."""


class AnswerCache:
    """The answer cache: L1 in this process, then L2, if there is one. Never raises: a cache that fails is a miss."""

    def __init__(self, tracker: ExecutionTracker, policy: CachePolicy, l1: Cache, l2: Cache | None = None) -> None:
        self._tracker = tracker
        self._policy = policy
        self._l1 = l1
        self._l2 = l2

    def key(self, caller: Caller, request: CompletionRequest) -> str | None:
        """The key under which equal requests meet, or None if this one must not be shared."""
        policy = self._policy
        if not policy.enabled or (policy.exclude_sampled and request.options.get("temperature") != 0):
            return None
        tenant = "" if policy.shared_across_tenants else caller.tenant
        return request_key(tenant, request)

    async def get(self, key: str, thread_id: str) -> tuple[Answer, CacheStatus] | None:
        """The stored answer and the tier it came from."""
        answer = await self._look(self._l1, stages.L1_CACHE_LOOKUP, key, thread_id)
        if answer is not None:
            return answer, CacheStatus.HIT_L1
        if self._l2 is None:
            return None
        answer = await self._look(self._l2, stages.L2_CACHE_LOOKUP, key, thread_id)
        if answer is None:
            return None
        await _put(self._l1, key, answer, self._policy.ttl_seconds)
        return answer, CacheStatus.HIT_L2

    async def put(self, key: str, deltas: Sequence[Delta], complete: Complete) -> None:
        """Stores a complete answer in both tiers, unless it is one that must not be (K1)."""
        given = columns(deltas)
        if complete.finish_reason in UNFIT or _empty(given):
            return
        events: Events[Delta | Complete] = Events([*given.texts, ""], [*given.kinds, complete])
        answer = Answer(events, weight(events))
        await _put(self._l1, key, answer, self._policy.ttl_seconds)
        if self._l2 is not None:
            await _put(self._l2, key, answer, self._policy.ttl_seconds)

    async def _look(self, tier: Cache, stage: str, key: str, thread_id: str) -> Answer | None:
        try:
            with self._tracker.track_substage(stage, "Cache tier look-up", thread_id):
                return await tier.get(key)
        except CacheError:
            return None


def _empty(answer: Events[Delta]) -> bool:
    """Whether there is nothing to be read in it: thoughts and white space are no answer."""
    if any(map(str.strip, answer.texts)):
        return False
    return not any(isinstance(kind, Shape) and (kind.tool_calls or kind.beyond) for kind in answer.kinds)


async def _put(cache: Cache, key: str, answer: Answer, ttl: float) -> None:
    try:
        await cache.put(key, answer, ttl)
    except CacheError:
        return


def request_key(tenant: str, request: CompletionRequest) -> str:
    """A digest of all that can change the answer: neither the order of fields nor `1` or `1.0` matters."""
    options = {name: value for name, value in request.options.items() if name not in IGNORED}
    messages: list[Json] = [
        [role, content if isinstance(content, str) else _canonical(content), _canonical(dict(extra))]
        for role, content, extra in request.messages
    ]
    whole: list[Json] = [tenant, request.model, messages, _canonical(options)]
    # Python's own notation tells apart what JSON does, lone surrogates too, and needs no encoder to be set up.
    return blake2b(ascii(whole).encode("ascii"), digest_size=20).hexdigest()


def _canonical(value: object) -> Json:
    """The same value with whole floats as integers, as JSON itself sees them, and fields ordered by name."""
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {name: _canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, int):
        return value
    raise TypeError(f"not JSON: {type(value).__name__}")
