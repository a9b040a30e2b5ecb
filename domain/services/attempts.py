"""The attempts of one generation: targets in order, each tried, timed, and told to its breaker."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.errors import (
    CircuitBreakerOpenError,
    ProviderError,
    ProviderTimeoutError,
    ProviderTruncatedError,
)
from domain.model import GAP_BOUNDS, Complete, CompletionRequest, Delta, Lease, Usage
from domain.services.circuit_breaker import CircuitBreakers
from domain.services.routing import Router, Target
from domain.services.sweeper import Alarm, Sweeper
from ports.clock import Clock
from ports.provider import Delivery
from ports.stream_log import StreamLog

# After the finish reason only usage and an end mark can follow; a provider that sends neither is not waited for (R5).
LINGER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StreamTimeouts:
    """How long a provider may be silent, and an answer may take; seconds."""

    first_event: float = 10.0
    idle: float = 30.0
    total: float = 300.0


@dataclass(slots=True)
class Progress:
    """What a generation has to show for itself so far."""

    request: CompletionRequest
    lease: Lease
    thread_id: str
    keep: bool
    """Whether the deltas are needed at the end, for the cache."""
    deltas: list[Delta] = field(default_factory=list)
    attempts: int = 0
    target: str | None = None
    first_event_at: float | None = None
    last_event_at: float = 0.0
    gaps: list[int] = field(default_factory=lambda: [0] * (len(GAP_BOUNDS) + 1))
    characters: int = 0
    finish_reason: str | None = None
    unfinished: int = 1
    """Choices that have no finish reason yet."""
    usage: Usage | None = None
    model: str = ""

    def take(self, batch: Sequence[Delta]) -> None:
        """Notes what the batch says about the answer as a whole."""
        for delta in batch:
            self.characters += len(delta.text) + len(delta.reasoning)
            if delta.finish_reason is not None:
                self.finish_reason = self.finish_reason or delta.finish_reason
                self.unfinished -= 1
                self.model = delta.model or self.model
            if delta.usage is not None:
                self.usage = delta.usage
        if self.keep:
            self.deltas.extend(batch)


class Attempts:
    """Gets an answer from the first target that gives one, and appends it to the log as it comes."""

    def __init__(
        self,
        clock: Clock,
        log: StreamLog,
        router: Router,
        breakers: CircuitBreakers,
        sweeper: Sweeper,
        timeouts: StreamTimeouts,
    ) -> None:
        self._clock = clock
        self._log = log
        self._router = router
        self._breakers = breakers
        self._sweeper = sweeper
        self._timeouts = timeouts

    async def run(self, progress: Progress) -> Complete:
        """Appends all deltas of the answer; returns its end, which the caller appends.

        Raises the last `ProviderError`, `ProviderTimeoutError` when all attempts together took too long, or
        `CircuitBreakerOpenError` if no target may be called now.
        """
        try:
            with self._sweeper.timeout(self._timeouts.total):
                return await self._try_targets(progress)
        except TimeoutError as error:
            raise ProviderTimeoutError(
                "The answer took longer than it may in all.",
                thread_id=progress.thread_id,
                details={"phase": "total", "seconds": self._timeouts.total},
            ) from error

    async def _try_targets(self, progress: Progress) -> Complete:
        targets = self._router.resolve(progress.request.model)
        last: ProviderError | None = None
        for target in targets:
            try:
                complete = await self._try_target(progress, target)
            except ProviderError as error:
                if progress.first_event_at is not None or not self._router.fails_over(error):
                    raise
                last = error
            else:
                if complete is not None:
                    return complete
        if last is not None:
            raise last
        wait = self._breakers.opens_in([target.name for target in targets])
        raise CircuitBreakerOpenError(
            "Every target of this model is shut out by its breaker.",
            thread_id=progress.thread_id,
            details={"retry_after": max(1.0, wait or 0.0)},
        )

    async def _try_target(self, progress: Progress, target: Target) -> Complete | None:
        """One target with its retries; None if its breaker shuts it out."""
        attempt = 0
        holder = progress.lease.stream_id
        while await self._breakers.admit(target.name, holder):
            attempt += 1
            verdict = False
            try:
                complete = await self._attempt(progress, target)
                await self._breakers.succeeded(target.name, holder)
                verdict = True
            except ProviderError as error:
                if error.retryable:
                    await self._breakers.failed(target.name, holder, error.retry_after or 0.0)
                    verdict = True
                delay = self._router.retry_delay(error, attempt)
                if delay is None or progress.first_event_at is not None:
                    raise
            else:
                return complete
            finally:
                if not verdict:
                    await self._breakers.abandoned(target.name, holder)
            await self._clock.sleep(delay)
        return None

    async def _attempt(self, progress: Progress, target: Target) -> Complete:
        """One call of one provider."""
        progress.attempts += 1
        progress.target = target.name
        started = self._clock.monotonic()
        count = progress.request.options.get("n")
        progress.unfinished = count if isinstance(count, int) else 1
        try:
            with self._sweeper.timeout(self._timeouts.first_event) as timeout:
                await self._pump(progress, target, timeout.alarm)
        except TimeoutError as error:
            if progress.unfinished > 0:
                raise self._silent(progress, target, started) from error
        except ProviderError:
            # Every choice has its finish reason: what went wrong after that took nothing from the answer (R5).
            if progress.unfinished > 0:
                raise
        if progress.finish_reason is None:
            raise ProviderTruncatedError(
                "The provider ended the answer without a finish reason.",
                thread_id=progress.thread_id,
                details={"target": target.name},
            )
        return Complete(progress.finish_reason, progress.usage, progress.model or target.model, target.name)

    async def _pump(self, progress: Progress, target: Target, alarm: Alarm) -> None:
        """From the provider to the log, a batch at a time. `take` is the path of each event."""
        append, monotonic, idle = self._log.append, self._clock.monotonic, self._timeouts.idle
        lease = progress.lease

        def take(batch: Sequence[Delta]) -> None:
            append(lease, batch)
            now = monotonic()
            if progress.first_event_at is None:
                progress.first_event_at = now
            else:
                progress.gaps[bisect_left(GAP_BOUNDS, now - progress.last_event_at)] += 1
            progress.last_event_at = now
            progress.take(batch)
            alarm.at = now + (idle if progress.unfinished > 0 else LINGER_SECONDS)

        async with target.provider.stream(progress.request, target.model, progress.thread_id) as answer:
            if isinstance(answer, Delivery):
                await answer.deliver(take)
                return
            async for batch in answer:
                take(batch)

    def _silent(self, progress: Progress, target: Target, started: float) -> ProviderTimeoutError:
        phase = "first_event" if progress.first_event_at is None else "idle"
        return ProviderTimeoutError(
            "The provider was silent for too long.",
            thread_id=progress.thread_id,
            details={
                "target": target.name,
                "phase": phase,
                "seconds": round(self._clock.monotonic() - started, 3),
            },
        )
