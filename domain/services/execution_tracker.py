"""Where the time of a request went: stages and sub-stages of sampled threads, and statistics of each stage.

with tracker.track_stage("2.0_CACHE_LOOKUP", "Cache lookup", thread_id):
    with tracker.track_substage("2.1_L1_CACHE_LOOKUP", "L1 lookup"):
        ...
tracker.get_execution_summary(thread_id).stages
"""

import re
from collections import OrderedDict, defaultdict
from contextvars import ContextVar
from dataclasses import dataclass
from threading import RLock
from types import TracebackType
from typing import Protocol, overload

from domain import stages
from domain.errors import ExecutionNotFoundError, SSEBaseError
from domain.services.execution_summary import ExecutionSummary, StageStatistics, StageSummary
from domain.services.quantile_sketch import QuantileSketch
from domain.services.sampling import Sampler
from ports.clock import Clock

MAX_STAGE_NAMES = 256
"""Distinct stages with statistics; further names are not counted."""
MAX_TIMINGS = 32
"""Stages in one `Server-Timing` header: proxies refuse long ones."""
_NOT_OF_A_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")


class Tracking(Protocol):
    """What `track_stage` gives: a context manager, to be entered once, that lets every exception pass."""

    def __enter__(self) -> object:
        """Starts the clock."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops it."""


class _Untracked:
    """Costs next to nothing: shared by all stages of all threads that are not sampled."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        pass


_UNTRACKED = _Untracked()


class _Thread:
    """The stages of one sampled thread, in the order in which they began: a part comes after its whole."""

    __slots__ = ("dropped", "forgotten", "owner", "spans", "thread_id")

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        self.owner: str | None = None
        self.spans: list[_Span] = []
        self.dropped = 0
        self.forgotten = False


@dataclass(slots=True, eq=False)
class _Span:
    """One stage while it runs, and after. `outer` is what was open around it here, `parent` what it is a part of."""

    tracker: "ExecutionTracker"
    thread: _Thread
    parent: "_Span | None"
    stage: str
    name: str
    outer: "_Span | None" = None
    entered: bool = False
    stray: bool = False
    started: float = 0.0
    seconds: float | None = None
    error: str | None = None
    code: str | None = None

    def __enter__(self) -> None:
        if self.entered:  # twice is a mistake, but none that may cost a request its answer
            return
        self.entered = True
        self.outer = _CURRENT.get()
        _CURRENT.set(self)
        stages.CURRENT_STAGE.set(self.stage)
        self.started = self.tracker.now()
        self.tracker.begun(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.seconds is not None:
            return
        self.seconds = self.tracker.now() - self.started
        if error is not None:
            self.error = type(error).__name__
            self.code = error.code if isinstance(error, SSEBaseError) else None
        # A generator may end its stage in another's context, or after a stage that began within it: what is open there
        # stays so, and does not come back to this one.
        if _CURRENT.get() is self:
            outer, self.outer = _not_stray(self.outer), None
            _CURRENT.set(outer)
            stages.CURRENT_STAGE.set(outer.stage if outer is not None and outer.seconds is None else None)
        else:
            self.stray = True
        self.tracker.finished(self, self.seconds, failed=isinstance(error, Exception))

    def lasted(self, now: float) -> float:
        """Seconds so far."""
        return now - self.started if self.seconds is None else self.seconds


def _not_stray(span: _Span | None) -> _Span | None:
    """The innermost stage, from this one outwards, that did not end out of order."""
    while span is not None and span.stray:
        span = span.outer
    return span


# The stage that is open in this task or thread: two requests that are interleaved each see their own.
_CURRENT: ContextVar[_Span | None] = ContextVar("headgate_stage", default=None)


class _Statistics:
    """The durations of one stage."""

    __slots__ = ("durations", "errors")

    def __init__(self) -> None:
        self.durations = QuantileSketch()
        self.errors = 0

    def read(self, stage: str) -> StageStatistics:
        """As they stand now."""
        durations = self.durations
        return StageStatistics(
            stage,
            durations.count,
            self.errors,
            durations.minimum,
            durations.maximum,
            durations.total / durations.count,
            durations.quantile(0.5),
            durations.quantile(0.95),
            durations.quantile(0.99),
        )


class ExecutionTracker:
    """Tracks sampled threads; safe under OS threads and asyncio tasks; bounded in everything it keeps.

    It knows the last `max_threads` that began or ended a stage, each with its first `max_stages_per_thread` stages.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        enabled: bool = True,
        sample_rate: float = 0.1,
        max_threads: int = 1024,
        max_stages_per_thread: int = 256,
    ) -> None:
        self.now = clock.monotonic
        self._enabled = enabled
        self._sampler = Sampler(sample_rate)
        self._max_threads = max_threads
        self._max_stages = max_stages_per_thread
        self._threads: OrderedDict[str, _Thread] = OrderedDict()  # the one that was busy last is last
        self._statistics: dict[str, _Statistics] = {}
        # Reentrant: the garbage collector may close a generator, and so end its stage, while the lock is held here.
        self._lock = RLock()

    def __len__(self) -> int:
        """Threads that are kept."""
        return len(self._threads)

    def claim(self, thread_id: str, owner: str) -> bool:
        """Says whose thread this is, before its first stage. False if it is another's: use another id then."""
        if not self._enabled or not self._sampler.decide(thread_id):
            return True
        with self._lock:
            thread = self._thread(thread_id)
            if thread.owner is None:
                thread.owner = owner
            return thread.owner == owner

    def force(self, thread_id: str) -> None:
        """Tracks this thread whatever the sampling says, in this process; the oldest of 4,096 forced ids lapses."""
        self._sampler.force(thread_id)

    def track_stage(self, stage: str, name: str, thread_id: str) -> Tracking:
        """A stage of the thread, timed from entering to leaving. Exceptions are noted and pass."""
        if not self._enabled or not self._sampler.decide(thread_id):
            return _UNTRACKED
        with self._lock:
            return _Span(self, self._thread(thread_id), None, stage, name)

    def track_substage(self, stage: str, name: str, thread_id: str | None = None) -> Tracking:
        """A part of the stage that is open in this task or OS thread, to any depth.

        If that stage has ended meanwhile (in the task that started this one), it is a stage of the same thread. Where
        no stage was open, or one of another thread, it is a stage of `thread_id`, or nothing if that is None.
        """
        current = _CURRENT.get()
        if current is not None and current.tracker is self and thread_id in (None, current.thread.thread_id):
            return _Span(self, current.thread, current if current.seconds is None else None, stage, name)
        return _UNTRACKED if thread_id is None else self.track_stage(stage, name, thread_id)

    def begun(self, span: _Span) -> None:
        """Keeps a stage that was entered; the stage itself calls it."""
        with self._lock:
            if len(span.thread.spans) < self._max_stages:
                span.thread.spans.append(span)
            else:
                span.thread.dropped += 1
            self._keep(span.thread)

    def finished(self, span: _Span, seconds: float, *, failed: bool) -> None:
        """Counts a stage that has ended; the stage itself calls it."""
        with self._lock:
            self._keep(span.thread)
            row = self._statistics.get(span.stage)
            if row is None:
                if len(self._statistics) >= MAX_STAGE_NAMES:
                    return
                row = self._statistics[span.stage] = _Statistics()
            row.durations.add(seconds)
            row.errors += failed

    def get_execution_summary(self, thread_id: str, owner: str | None = None) -> ExecutionSummary:
        """The stages of a thread, for anybody or for its owner alone.

        Raises `ExecutionNotFoundError` if it was not sampled, is no longer kept, or is another's.
        """
        with self._lock:
            thread = self._threads.get(thread_id)
            if thread is None or (owner is not None and thread.owner != owner):
                raise ExecutionNotFoundError("No execution is kept for this thread.", thread_id=thread_id)
            return _summary(thread, self.now())

    @overload
    def get_stage_statistics(self, stage: None = None) -> tuple[StageStatistics, ...]: ...
    @overload
    def get_stage_statistics(self, stage: str) -> StageStatistics | None: ...
    def get_stage_statistics(self, stage: str | None = None) -> tuple[StageStatistics, ...] | StageStatistics | None:
        """The statistics of one stage, None if it never ended in this process; or those of all, by name."""
        with self._lock:
            if stage is None:
                return tuple(self._statistics[name].read(name) for name in sorted(self._statistics))
            row = self._statistics.get(stage)
            return None if row is None else row.read(stage)

    def stage_seconds(self, thread_id: str) -> tuple[tuple[str, float], ...]:
        """The finished top stages of a thread and their seconds, in order; empty if it is not tracked."""
        thread = self._threads.get(thread_id)
        if thread is None:
            return ()
        with self._lock:
            top = [span for span in thread.spans if span.parent is None]
            return tuple((span.stage, span.seconds) for span in top if span.seconds is not None)

    def server_timing(self, thread_id: str) -> str:
        """The value of a `Server-Timing` header (W3C): the top stages that have ended, in ms; empty if not tracked."""
        timings = self.stage_seconds(thread_id)[:MAX_TIMINGS]
        return ", ".join(f"{_NOT_OF_A_TOKEN.sub('_', stage)};dur={seconds * 1000:.3f}" for stage, seconds in timings)

    def clear_thread_data(self, thread_id: str) -> None:
        """Forgets a thread, and that it was forced; its stages stay in the statistics."""
        with self._lock:
            self._sampler.forget(thread_id)
            thread = self._threads.pop(thread_id, None)
            if thread is not None:
                thread.forgotten = True

    def _thread(self, thread_id: str) -> _Thread:
        """The thread, begun if it is new. The lock is held."""
        thread = self._threads.get(thread_id)
        if thread is None:
            thread = _Thread(thread_id)
            self._keep(thread)
        return thread

    def _keep(self, thread: _Thread) -> None:
        """Makes it the last to go: one that was dropped while a stage of it ran is back. The lock is held."""
        if thread.forgotten:
            return
        kept = self._threads.pop(thread.thread_id, thread)
        self._threads[thread.thread_id] = kept
        while len(self._threads) > self._max_threads:
            self._threads.popitem(last=False)


def _summary(thread: _Thread, now: float) -> ExecutionSummary:
    top = [span for span in thread.spans if span.parent is None]
    origin = min((span.started for span in top), default=now)
    end = max((span.started + span.lasted(now) for span in top), default=now)
    counted = sum(span.lasted(now) for span in top)
    covered = _covered([(span.started, span.started + span.lasted(now)) for span in top])
    return ExecutionSummary(
        thread.thread_id,
        end - origin,
        max(0.0, end - origin - covered),
        max(0.0, counted - covered),
        thread.dropped,
        _tree(thread.spans, origin),
    )


def _tree(spans: list[_Span], origin: float) -> tuple[StageSummary, ...]:
    """From the last to the first, so that a stage is made when its parts are: no recursion, whatever the depth."""
    parts: defaultdict[_Span | None, list[StageSummary]] = defaultdict(list)
    for span in reversed(spans):
        substages = tuple(reversed(parts.pop(span, ())))
        started = span.started - origin
        parts[span.parent].append(
            StageSummary(span.stage, span.name, started, span.seconds, span.error, span.code, substages)
        )
    return tuple(reversed(parts[None]))


def _covered(intervals: list[tuple[float, float]]) -> float:
    """The length of the union of intervals: stages may overlap."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered
