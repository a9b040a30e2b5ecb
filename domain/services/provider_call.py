"""One call of one provider: from its socket to the log, a batch at a time, and never silent for too long."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import cast

from domain.delta import Delta
from domain.errors import ProviderConnectionError, ProviderError, ProviderTimeoutError, ProviderTruncatedError
from domain.events import Events, columns
from domain.model import Complete, CompletionRequest
from domain.services.progress import Progress
from domain.services.seam import Seam
from domain.services.silence import Silence
from domain.services.sweeper import Sweeper
from domain.services.targets import Target
from domain.services.timeouts import Timeouts
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where
from ports.provider import Delivery, SignsOfLife
from ports.stream_log import StreamLog


@lru_cache(maxsize=64)
def _delivers(kind: type) -> bool:
    """Whether such answers have the power. Asking a Protocol costs 8 us, and there are few classes."""
    return issubclass(kind, Delivery)


@lru_cache(maxsize=64)
def _tells_of_life(kind: type) -> bool:
    return issubclass(kind, SignsOfLife)


class ProviderCalls:
    """Makes calls."""

    def __init__(
        self,
        clock: Clock,
        log: StreamLog,
        sweeper: Sweeper,
        timeouts: Timeouts,
        could_answer: Callable[[Target], bool],
        probes: Callable[[Progress, Target], bool],
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        """`could_answer` tells whether a target may be called now, `probes` whether its call is a breaker's probe."""
        self._wall = Wall(defects, Where.GENERATION)
        self._clock = clock
        self._log = log
        self._sweeper = sweeper
        self._timeouts = timeouts
        self._could_answer = could_answer
        self._probes = probes

    async def make(self, progress: Progress, target: Target, request: CompletionRequest, seam: Seam | None) -> Complete:
        """Appends what the target answers to `request`; behind a `seam`, if it goes on from what was sent before.

        Raises a `ProviderError`, and what the seam raises.
        """
        progress.attempts += 1
        progress.target = target.name
        progress.usage = None  # what a failed attempt said of its own is not billed (R7)
        progress.unfinished = progress.choices
        sent, started = progress.batches, self._clock.monotonic()
        limits = self._timeouts.of(target.name)
        shorter = limits.total < progress.deadline - started  # else the limit of all attempts is enough
        try:
            with (
                self._sweeper.timeout(limits.total) if shorter else nullcontext(),
                Silence(
                    self._clock,
                    self._sweeper,
                    limits,
                    lambda: self._others(progress),
                    probe=self._probes(progress, target),
                ) as silence,
            ):
                await self._pump(progress, target, request, seam, silence)
        except TimeoutError as error:
            if progress.unfinished > 0:
                phase = "first_event" if progress.batches == sent else "idle"
                if shorter and self._clock.monotonic() >= started + limits.total:
                    phase = "total"
                raise self._silent(progress, target, phase, started) from error
        except ProviderError as error:
            # Every choice has its finish reason: what went wrong after that took nothing from the answer (R5).
            if progress.unfinished > 0:
                if isinstance(error, ProviderConnectionError) and progress.batches != sent:
                    raise self._truncated(progress, target, "The provider broke its answer off.") from error
                raise
        if progress.finish_reason is None or progress.spoken - progress.finished:
            raise self._truncated(progress, target, "The provider ended the answer without a finish reason.")
        return Complete(progress.finish_reason, progress.usage, progress.model or target.model, target.name)

    def _others(self, progress: Progress) -> bool:
        """Whether another target of the route could still answer."""
        return any(map(self._could_answer, progress.rest))

    async def _pump(
        self, progress: Progress, target: Target, request: CompletionRequest, seam: Seam | None, silence: Silence
    ) -> None:
        """`take` is the path of each event."""
        append, monotonic, idle = self._log.append, self._clock.monotonic, self._timeouts.of(target.name).idle
        lease, alarm = progress.lease, silence.alarm

        heard = False

        def take(batch: Sequence[Delta]) -> None:
            nonlocal heard
            now = monotonic()
            if not heard:
                heard = True
                silence.begun()
                for began in progress.began:
                    with self._wall:  # a permit, a breaker: the answer is there all the same
                        began(now)
            if seam is not None:
                batch = seam.join(batch)
                if not batch:  # held back, or all of it was there already: the provider is at work all the same
                    silence.since, alarm.at = now, now + idle
                    return
            events = batch if type(batch) is Events else columns(batch)
            append(lease, events)
            progress.take(events, now)
            if progress.unfinished > 0:
                silence.since, alarm.at = now, now + idle
            else:
                silence.finish(now)

        answering = target.provider.stream(request, target.model, progress.thread_id)
        if _tells_of_life(type(answering)):
            cast("SignsOfLife", answering).on_life(silence.alive)
        async with answering as answer:
            if _delivers(type(answer)):
                await cast("Delivery", answer).deliver(take)
                return
            async for batch in answer:
                take(batch)

    @staticmethod
    def _truncated(progress: Progress, target: Target, message: str) -> ProviderTruncatedError:
        return ProviderTruncatedError(message, thread_id=progress.thread_id, details={"target": target.name})

    def _silent(self, progress: Progress, target: Target, phase: str, started: float) -> ProviderTimeoutError:
        return ProviderTimeoutError(
            "The provider was silent for too long.",
            thread_id=progress.thread_id,
            details={"target": target.name, "phase": phase, "seconds": round(self._clock.monotonic() - started, 3)},
        )
