"""Adaptive concurrency: as many calls of a target at once as it answers well; the rest wait in a fair line here.

A permit is held from before a call to its end. What waits has sent nothing, so its time is not the provider's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from domain.errors import (
    ProviderRateLimitedError,
    ProviderTimeoutError,
    QueueFullError,
    QueueTimeoutError,
    StreamingError,
)
from domain.fair_line import FairLine
from domain.model import Caller, Lease, Status, StatusState, Tier
from domain.services.admission import queue_cost
from domain.services.gradient_limit import GradientLimit
from domain.services.progress import Progress
from domain.services.sweeper import Sweeper
from domain.services.targets import Target
from ports.clock import Clock
from ports.defects import CALLBACK_ERRORS, LOGGED_DEFECTS, Defects, Where
from ports.occupancy import Occupancy
from ports.stream_log import StreamLog

MAX_TARGETS = 1_000
"""Callers may name any model of a provider: of more, one that is idle is forgotten."""
STATUS_SECONDS = 2.0
"""Between two looks at who has moved up (Q5)."""


@dataclass(eq=False, slots=True)
class WaitingCall:
    """One call in the line of a target."""

    lease: Lease
    tenant: str
    cost: int
    weight: int
    ahead: int | None = None
    granted: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def stream_id(self) -> str:
        """Its name in the line."""
        return self.lease.stream_id


@dataclass(eq=False, slots=True)
class _Lane:
    """One target's calls."""

    limit: GradientLimit
    line: FairLine[WaitingCall]
    in_use: int = 0
    told_at: float = 0.0

    @property
    def room(self) -> bool:
        """Whether a call may begin without waiting."""
        return self.in_use < self.limit.value and not len(self.line)


class TargetPermits(Occupancy):
    """Permits of this process: each learns on its own what its calls meet.

    `line` makes a target's line, `wait` is how many seconds a call may stand in it, `most` bounds every limit.
    """

    def __init__(
        self,
        clock: Clock,
        log: StreamLog,
        sweeper: Sweeper,
        line: Callable[[], FairLine[WaitingCall]],
        tier: Callable[[Caller], Tier],
        *,
        wait: float,
        most: int,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._clock = clock
        self._log = log
        self._sweeper = sweeper
        self._line = line
        self._tier = tier
        self._wait = wait
        self._most = most
        self._lanes: dict[str, _Lane] = {}

    def prefer(self, targets: Sequence[Target]) -> Sequence[Target]:
        """Those with room before those without, else in their order."""
        return sorted(targets, key=lambda target: not self._lane(target.name).room)

    @asynccontextmanager
    async def hold(self, progress: Progress, target: Target) -> AsyncIterator[None]:
        """One permit, as long as the call takes; learns from how the call begins.

        A rescue does not wait: somebody is in the middle of a sentence. Raises `QueueFullError`, `QueueTimeoutError`.
        """
        lane = self._lane(target.name)
        first = progress.first_event_at is None
        if first and not lane.room:
            await self._stand_in_line(progress, lane)
        else:
            lane.in_use += 1
        began = self._clock.monotonic()

        def sample(now: float) -> None:
            lane.limit.sample(now - began, lane.in_use)
            self._let_in(lane)

        if first:
            progress.began.append(sample)
        try:
            yield
        except (ProviderTimeoutError, ProviderRateLimitedError):
            if first and progress.first_event_at is None:
                lane.limit.lose(began, self._clock.monotonic())
            raise
        finally:
            if first:
                progress.began.remove(sample)
            self._give_back(lane)

    async def _stand_in_line(self, progress: Progress, lane: _Lane) -> None:
        """Waits for a permit, which is the caller's to give back if this returns."""
        job, lease = progress.job, progress.lease
        weight = self._tier(job.context.caller).weight
        waiter = WaitingCall(lease, job.tenant, queue_cost(job.reserved), weight)
        waiter.ahead = lane.line.put(waiter)
        details = {"retry_after": 1}
        if waiter.ahead is None:
            raise QueueFullError("The line before the provider is full.", thread_id=progress.thread_id, details=details)
        permitted = False
        try:
            self._log.append(lease, [Status(StatusState.QUEUED, waiter.ahead)])
            with self._sweeper.timeout(self._wait):
                # Shielded: who is let in and leaves in the same moment must still be found to have a permit.
                await asyncio.shield(waiter.granted)
            self._log.append(lease, [Status(StatusState.STARTED)])
            permitted = True
        except TimeoutError as error:
            text = "The provider had no room in time."
            raise QueueTimeoutError(text, thread_id=progress.thread_id, details=details) from error
        finally:
            if not permitted and not lane.line.remove(waiter.stream_id):
                self._give_back(lane)

    def _give_back(self, lane: _Lane) -> None:
        lane.in_use -= 1
        self._let_in(lane)

    def _let_in(self, lane: _Lane) -> None:
        moved = False
        while lane.in_use < lane.limit.value and (waiter := lane.line.take()) is not None:
            lane.in_use += 1
            waiter.granted.set_result(None)
            moved = True
        now = self._clock.monotonic()
        if moved and now - lane.told_at >= STATUS_SECONDS:
            lane.told_at = now
            for waiter, ahead in lane.line.places():
                if ahead != waiter.ahead:
                    waiter.ahead = ahead
                    # Whoever gives a permit back answers for its own stream alone.
                    try:
                        self._log.append(waiter.lease, [Status(StatusState.QUEUED, ahead)])
                    except StreamingError:
                        pass
                    except CALLBACK_ERRORS as error:
                        self._defects.report(Where.PERMITS, error)

    def _lane(self, target: str) -> _Lane:
        lane = self._lanes.get(target)
        if lane is None:
            if len(self._lanes) >= MAX_TARGETS:
                idle = next((name for name, lane in self._lanes.items() if not lane.in_use and not len(lane.line)), "")
                self._lanes.pop(idle, None)
            lane = self._lanes[target] = _Lane(GradientLimit(self._most), self._line())
        return lane

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How many calls there are, may be, and would be."""
        return {
            "headgate_permits": lambda: sum(lane.limit.value for lane in list(self._lanes.values())),
            "headgate_permits_in_use": lambda: sum(lane.in_use for lane in list(self._lanes.values())),
            "headgate_permits_awaited": lambda: sum(len(lane.line) for lane in list(self._lanes.values())),
        }
