"""The attempts of one generation: targets in order, each tried, told to its breaker, and rescued by the next."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TypeAlias

from domain.errors import (
    CircuitBreakerOpenError,
    NoConnectionLeftError,
    NoRoomLeftError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRequestError,
    ProviderTimeoutError,
    ProviderTruncatedError,
)
from domain.model import Complete
from domain.services.circuit_breaker import CircuitBreakers
from domain.services.progress import Progress
from domain.services.provider_call import ProviderCalls
from domain.services.rescue import continuation, rescuable
from domain.services.retry_budget import RetryBudget
from domain.services.routing import Router, Then, of_target_alone, reaction
from domain.services.seam import Seam, UnjoinableError
from domain.services.sweeper import Sweeper
from domain.services.target_permits import TargetPermits
from domain.services.targets import Target
from domain.services.timeouts import Timeouts
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects
from ports.stream_log import StreamLog

__all__ = ["Attempts", "Progress"]

OWN = (NoConnectionLeftError, NoRoomLeftError)
"""Failures of this process: they say nothing about a target (B5)."""
Attempt: TypeAlias = Coroutine[None, None, Complete | None]
"""Handed on where nothing is left to do: each coroutine that only waits for another is 300 bytes of an open stream."""


class Attempts:
    """Gets an answer from the first target that gives one, and appends it to the log as it comes."""

    def __init__(
        self,
        clock: Clock,
        log: StreamLog,
        router: Router,
        breakers: CircuitBreakers,
        sweeper: Sweeper,
        timeouts: Timeouts,
        permits: TargetPermits | None = None,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._clock = clock
        self._router = router
        self._breakers = breakers
        self._sweeper = sweeper
        self._timeouts = timeouts
        self._permits = permits
        self._calls = ProviderCalls(clock, log, sweeper, timeouts, self._could_answer, self._probes, defects)
        self._budget = RetryBudget(clock)

    async def run(self, progress: Progress) -> Complete:
        """Appends all deltas of the answer; returns its end, which the caller appends.

        Raises the last `ProviderError`, `ProviderTimeoutError` when all attempts together took too long, or
        `CircuitBreakerOpenError` if no target may be called now.
        """
        self._budget.deposit()
        targets: Sequence[Target] = self._router.choose(progress.request)
        total = max(self._timeouts.of(target.name).total for target in targets)
        progress.deadline = self._clock.monotonic() + total
        try:
            with self._sweeper.timeout(total):
                return await self._try_targets(progress, targets)
        except TimeoutError as error:
            raise ProviderTimeoutError(
                "The answer took longer than it may in all.",
                thread_id=progress.thread_id,
                details={"phase": "total", "seconds": total},
            ) from error

    async def _try_targets(self, progress: Progress, targets: Sequence[Target]) -> Complete:
        if self._permits is not None:
            targets = self._permits.prefer(targets)
        rest: Sequence[Target] = targets
        shut: list[str] = []
        again = True  # whether the last target may rescue its own answer
        last: ProviderError | None = None
        while rest:
            target, rest = rest[0], rest[1:]
            progress.rest = rest
            batches, begun = progress.batches, progress.first_event_at is not None
            try:
                complete = await self._try_forms(progress, target)
            except ProviderError as error:
                if progress.first_event_at is not None and not rescuable(progress):
                    raise
                added = progress.batches != batches
                # What is told is not why a rescuer added nothing, nor, in an outage, what another target lacks: to try
                # later may help.
                hidden = not isinstance(error, ProviderTruncatedError) if begun else of_target_alone(error)
                if last is None or added or not hidden or (not begun and _says_more(error, last)):
                    last = error
                if not begun:  # what a rescuer refuses is its own affair: another took the request
                    rest = self._router.after(error, target, rest, progress.request)
                if added and not rest and again and self._may_go_on(progress, error):
                    rest, again = [target], False
            else:
                if complete is not None:
                    return complete
                shut.append(target.name)
        if last is not None and not (shut and of_target_alone(last)):
            raise last
        wait = self._breakers.opens_in(shut)
        raise CircuitBreakerOpenError(
            "The targets of this model are shut out by their breakers.",
            thread_id=progress.thread_id,
            details={"retry_after": max(1.0, wait or 0.0)},
        )

    def _could_answer(self, target: Target) -> bool:
        return not self._breakers.shuts_out(target.name)

    def _probes(self, progress: Progress, target: Target) -> bool:
        return self._breakers.probes(target.name, progress.lease.stream_id)

    def _may_go_on(self, progress: Progress, error: ProviderError) -> bool:
        """Whether a target that may be tried again may finish its own answer too."""
        left = progress.deadline - self._clock.monotonic()
        return self._router.retry_delay(error, 1, left, last=True) is not None and self._budget.withdraw()

    def _try_forms(self, progress: Progress, target: Target) -> Attempt:
        """One target, which may have a beginning to go on from."""
        if target.prefill and any(progress.answer.texts):
            return self._try_prefilled(progress, target)
        return self._try_target(progress, target, prefill=False)

    async def _try_prefilled(self, progress: Progress, target: Target) -> Complete | None:
        """If the target refuses the beginning of an answer, though it is said to take one, it is asked to go on."""
        batches = progress.batches
        try:
            return await self._try_target(progress, target, prefill=True)
        except ProviderRequestError as error:
            if progress.batches != batches or reaction(error).then is not Then.CALLER:
                raise
        return await self._try_target(progress, target, prefill=False)

    async def _try_target(self, progress: Progress, target: Target, *, prefill: bool) -> Complete | None:
        """One target with its retries; None if its breaker shuts it out from the start."""
        attempt, last = 0, None
        while True:
            attempt += 1
            try:
                complete = await self._attempt(progress, target, prefill=prefill)
            except ProviderError as error:
                # Who rescues an answer is asked once: somebody is waiting in the middle of a sentence. And nobody waits
                # for a target whose breaker this failure has opened.
                if progress.first_event_at is not None or self._breakers.shuts_out(target.name):
                    raise
                left = progress.deadline - self._clock.monotonic()
                alone = not any(map(self._could_answer, progress.rest))
                delay = self._router.retry_delay(error, attempt, left, last=alone)
                if delay is None or not self._budget.withdraw():
                    raise
                last = error
            else:
                if complete is None and last is not None:
                    raise last
                return complete
            await self._clock.sleep(delay)

    def _attempt(self, progress: Progress, target: Target, *, prefill: bool) -> Attempt:
        """One call; None if the target's breaker shuts it out."""
        if self._permits is None:
            return self._judged(progress, target, prefill=prefill)
        return self._permitted(progress, target, self._permits, prefill=prefill)

    async def _permitted(
        self, progress: Progress, target: Target, permits: TargetPermits, *, prefill: bool
    ) -> Complete | None:
        """One call, when there is a permit for it."""
        async with permits.hold(progress, target):
            return await self._judged(progress, target, prefill=prefill)

    async def _judged(self, progress: Progress, target: Target, *, prefill: bool) -> Complete | None:
        """One call, if the target's breaker admits it, which is told how it ended."""
        holder = progress.lease.stream_id
        if not await self._breakers.admit(target.name, holder):
            return None
        verdict = False
        try:
            complete = await self._heard(progress, target, holder, prefill=prefill)
            await self._breakers.succeeded(target.name, holder)
            verdict = True
        except ProviderError as error:
            progress.failures += ((target.name, error.code),)
            if error.retryable and not isinstance(error, OWN):
                await self._breakers.failed(target.name, holder, error.retry_after or 0.0, error.code)
                verdict = True
            raise
        except UnjoinableError as error:  # which says nothing about the target
            progress.failures += ((target.name, ProviderTruncatedError.code),)
            raise ProviderTruncatedError(
                "The answer broke off, and what came next could not be joined to it.",
                thread_id=progress.thread_id,
                details={"target": target.name, "phase": "rescue"},
            ) from error
        finally:
            if not verdict:
                await self._breakers.abandoned(target.name, holder)
        return complete

    async def _heard(self, progress: Progress, target: Target, holder: str, *, prefill: bool) -> Complete:
        """The call; if it is a probe, its first event closes the breaker."""
        closing: list[asyncio.Task[None]] = []

        def answered(_: float) -> None:
            if self._breakers.probes(target.name, holder):
                closing.append(asyncio.create_task(self._breakers.answered(target.name, holder)))

        progress.began.append(answered)
        try:
            return await self._call(progress, target, prefill=prefill)
        finally:
            progress.began.remove(answered)
            if closing:
                await asyncio.gather(*closing)

    def _call(self, progress: Progress, target: Target, *, prefill: bool) -> Coroutine[None, None, Complete]:
        """The whole answer, or the rest of one that has begun."""
        if progress.first_event_at is None:
            return self._calls.make(progress, target, progress.request, None)
        sent = "".join(progress.answer.texts)
        progress.rescues += 1
        request = continuation(progress, sent, prefill=prefill)
        return self._calls.make(progress, target, request, Seam(sent, exact=prefill, thoughts=not progress.characters))


def _says_more(error: ProviderError, known: ProviderError) -> bool:
    """Whether it speaks of the request, which its caller can mend, where the known one speaks of our account, or of the
    request no better: that a target does not have the model helps less than what else is wrong (R9)."""
    if not isinstance(error, ProviderRequestError):
        return False
    if isinstance(known, ProviderRequestError):
        return isinstance(known, ProviderModelNotFoundError) or not isinstance(error, ProviderModelNotFoundError)
    return isinstance(known, ProviderAuthenticationError)
