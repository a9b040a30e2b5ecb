"""Complete answers, kept in two tiers: the look-up, and what may be stored (K1-K5)."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from domain import stages
from domain.delta import Delta, Shape
from domain.errors import CacheError
from domain.events import Answer, Events, columns
from domain.model import CacheStatus, Caller, Complete, CompletionRequest
from domain.services.execution_tracker import ExecutionTracker
from domain.services.request_key import request_key
from domain.weight import weight
from ports.cache import Cache
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where

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

    def __init__(
        self,
        tracker: ExecutionTracker,
        policy: CachePolicy,
        l1: Cache,
        l2: Cache | None = None,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._wall = Wall(defects, Where.CACHE)
        self._tracker = tracker
        self._policy = policy
        self._l1 = l1
        self._l2 = l2

    async def key(self, caller: Caller, request: CompletionRequest) -> str | None:
        """The key under which equal requests meet, or None if this one must not be shared."""
        policy = self._policy
        if not policy.enabled or (policy.exclude_sampled and request.options.get("temperature") != 0):
            return None
        tenant = "" if policy.shared_across_tenants else caller.tenant
        return await request_key(tenant, request)

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
        await self._keep(self._l1, key, answer)
        return answer, CacheStatus.HIT_L2

    async def put(self, key: str, deltas: Sequence[Delta], complete: Complete) -> None:
        """Stores a complete answer in both tiers, unless it is one that must not be (K1)."""
        given = columns(deltas)
        if complete.finish_reason in UNFIT or _empty(given):
            return
        events: Events[Delta | Complete] = Events([*given.texts, ""], [*given.kinds, complete])
        answer = Answer(events, weight(events))
        await self._keep(self._l1, key, answer)
        if self._l2 is not None:
            await self._keep(self._l2, key, answer)

    async def _look(self, tier: Cache, stage: str, key: str, thread_id: str) -> Answer | None:
        with (
            self._wall,
            suppress(CacheError),
            self._tracker.track_substage(stage, "Cache tier look-up", thread_id),
        ):
            return await tier.get(key)
        return None

    async def _keep(self, tier: Cache, key: str, answer: Answer) -> None:
        with self._wall, suppress(CacheError):
            await tier.put(key, answer, self._policy.ttl_seconds)


def _empty(answer: Events[Delta]) -> bool:
    """Whether there is nothing to be read in it: thoughts and white space are no answer."""
    if any(map(str.strip, answer.texts)):
        return False
    return not any(isinstance(kind, Shape) and (kind.tool_calls or kind.beyond) for kind in answer.kinds)
