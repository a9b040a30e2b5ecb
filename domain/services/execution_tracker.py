"""Where the time of a request went: stages and sub-stages of sampled threads, and statistics of each stage.

with tracker.track_stage("2.0_CACHE_LOOKUP", "Cache lookup", thread_id):
    with tracker.track_substage("2.1_L1_CACHE_LOOKUP", "L1 lookup"):
        ...
tracker.get_execution_summary(thread_id).stages
"""

from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Protocol

from domain import stages
from domain.errors import ExecutionNotFoundError
from domain.services.quantile_sketch import QuantileSketch
from domain.services.sampling import Sampler
from ports.clock import Clock

MAX_STAGE_NAMES = 256
"""Distinct stages with statistics; further names are not counted."""


@dataclass(frozen=True, slots=True)
class StageSummary:
    """One stage of one thread. Seconds; `started` counts from the first stage of the thread.

    `seconds` is None while it runs. `error` is the stable code of what was raised in it, else its type; never its text.
    """

    stage: str
    name: str
    started: float
    seconds: float | None
    error: str | None
    substages: tuple["StageSummary", ...]


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """All stages of one thread. `untracked` is the part of `seconds` in which no stage was running."""

    thread_id: str
    seconds: float
    untracked: float
    stages: tuple[StageSummary, ...]


@dataclass(frozen=True, slots=True)
class StageStatistics:
    """One stage over all sampled threads; seconds, quantiles within 1 %."""

    stage: str
    count: int
    errors: int
    minimum: float
    maximum: float
    mean: float
    p50: float
    p95: float
    p99: float


class Tracking(Protocol):
    """What `track_stage` gives: a context manager that lets every exception pass."""

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
    """The stages of one sampled thread."""

    __slots__ = ("count", "owner", "stages", "thread_id")

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        self.owner: str | None = None
        self.stages: list[_Span] = []
        self.count = 0


class _Span:
    """One stage while it runs, and after."""

    __slots__ = ("_outer", "_tracker", "error", "name", "seconds", "stage", "started", "substages", "thread")

    def __init__(self, tracker: "ExecutionTracker", thread: _Thread, stage: str, name: str) -> None:
        self._tracker = tracker
        self.thread = thread
        self.stage = stage
        self.name = name
        self.started = 0.0
        self.seconds: float | None = None
        self.error: str | None = None
        self.substages: list[_Span] = []

    def __enter__(self) -> None:
        self._outer = _CURRENT.get()
        _CURRENT.set(self)
        stages.CURRENT_STAGE.set(self.stage)
        self.started = self._tracker.now()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = self._tracker.now() - self.started
        if error is not None:
            self.error = str(getattr(error, "code", type(error).__name__))
        _CURRENT.set(self._outer)
        stages.CURRENT_STAGE.set(None if self._outer is None else self._outer.stage)
        self._tracker.finished(self)


# The stage that is open in this task or thread: two requests that are interleaved each see their own.
_CURRENT: ContextVar[_Span | None] = ContextVar("headgate_stage", default=None)


class ExecutionTracker:
    """Tracks sampled threads; safe under OS threads and asyncio tasks; bounded in everything it keeps."""

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
        self._threads: OrderedDict[str, _Thread] = OrderedDict()  # oldest first
        self._statistics: dict[str, tuple[QuantileSketch, list[int]]] = {}
        self._lock = Lock()

    def claim(self, thread_id: str, owner: str) -> bool:
        """Says whose thread this is, before its first stage. False if it is another's: use another id then."""
        if not self._enabled or not self._sampler.decide(thread_id):
            return True
        with self._lock:
            thread = self._thread(thread_id)
            thread.owner = thread.owner or owner
            return thread.owner == owner

    def force(self, thread_id: str) -> None:
        """Tracks this thread whatever the sampling says."""
        self._sampler.force(thread_id)

    def track_stage(self, stage: str, name: str, thread_id: str) -> Tracking:
        """A stage of the thread, timed from entering to leaving. Exceptions are noted and pass."""
        if not self._enabled or not self._sampler.decide(thread_id):
            return _UNTRACKED
        return self._span(stage, name, thread_id, None)

    def track_substage(self, stage: str, name: str, thread_id: str | None = None) -> Tracking:
        """A part of the stage that is open here, to any depth; with a `thread_id`, a stage of it if none is open."""
        outer = _CURRENT.get()
        if outer is not None and (thread_id is None or outer.thread.thread_id == thread_id):
            return self._span(stage, name, outer.thread.thread_id, outer)
        return _UNTRACKED if thread_id is None else self.track_stage(stage, name, thread_id)

    def _span(self, stage: str, name: str, thread_id: str, outer: _Span | None) -> Tracking:
        with self._lock:
            thread = self._thread(thread_id)
            if thread.count >= self._max_stages:
                return _UNTRACKED
            thread.count += 1
            span = _Span(self, thread, stage, name)
            (thread.stages if outer is None else outer.substages).append(span)
            return span

    def _thread(self, thread_id: str) -> _Thread:
        """The thread, begun if it is new; the oldest goes where there are too many. The lock is held."""
        thread = self._threads.get(thread_id)
        if thread is None:
            thread = self._threads[thread_id] = _Thread(thread_id)
            if len(self._threads) > self._max_threads:
                self._threads.popitem(last=False)
        return thread

    def finished(self, span: _Span) -> None:
        """Counts a stage that has ended; the stage itself calls it."""
        with self._lock:
            row = self._statistics.get(span.stage)
            if row is None:
                if len(self._statistics) >= MAX_STAGE_NAMES:
                    return
                row = self._statistics[span.stage] = (QuantileSketch(), [0])
            row[0].add(span.seconds or 0.0)
            row[1][0] += span.error is not None

    def get_execution_summary(self, thread_id: str, owner: str | None = None) -> ExecutionSummary:
        """The stages of a thread, for anybody or for its owner alone.

        Raises `ExecutionNotFoundError` if it was not sampled, is no longer kept, or is another's.
        """
        with self._lock:
            thread = self._threads.get(thread_id)
            if thread is None or (owner is not None and thread.owner != owner):
                raise ExecutionNotFoundError("No execution is kept for this thread.", thread_id=thread_id)
            begun = [span for span in thread.stages if span.started]
            if not begun:
                return ExecutionSummary(thread_id, 0.0, 0.0, ())
            now = self.now()
            origin = min(span.started for span in begun)
            end = max(span.started + _seconds(span, now) for span in begun)
            covered = _covered([(span.started, span.started + _seconds(span, now)) for span in begun])
            whole = end - origin
            tree = tuple(_summary(span, origin) for span in begun)
            return ExecutionSummary(thread_id, whole, max(0.0, whole - covered), tree)

    def get_stage_statistics(self, stage: str | None = None) -> tuple[StageStatistics, ...]:
        """The statistics of one stage, or of all, by name."""
        with self._lock:
            names = sorted(self._statistics) if stage is None else [stage] if stage in self._statistics else []
            return tuple(_statistics(name, *self._statistics[name]) for name in names)

    def stage_seconds(self, thread_id: str) -> tuple[tuple[str, float], ...]:
        """The finished top stages of a thread and their seconds, in order; empty if it is not tracked."""
        thread = self._threads.get(thread_id)
        if thread is None:
            return ()
        return tuple((span.stage, span.seconds) for span in tuple(thread.stages) if span.seconds is not None)

    def server_timing(self, thread_id: str) -> str:
        """The value of a `Server-Timing` header (W3C), ms: the stages that have ended; empty if not tracked."""
        return ", ".join(f"{stage};dur={seconds * 1000:.3f}" for stage, seconds in self.stage_seconds(thread_id))

    def clear_thread_data(self, thread_id: str) -> None:
        """Forgets a thread; its stages stay in the statistics."""
        with self._lock:
            self._threads.pop(thread_id, None)

    def __len__(self) -> int:
        return len(self._threads)


def _seconds(span: _Span, now: float) -> float:
    return now - span.started if span.seconds is None else span.seconds


def _summary(span: _Span, origin: float) -> StageSummary:
    substages = tuple(_summary(substage, origin) for substage in span.substages if substage.started)
    return StageSummary(span.stage, span.name, span.started - origin, span.seconds, span.error, substages)


def _covered(intervals: list[tuple[float, float]]) -> float:
    """The length of the union of intervals: stages may overlap."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


def _statistics(stage: str, sketch: QuantileSketch, errors: list[int]) -> StageStatistics:
    return StageStatistics(
        stage,
        sketch.count,
        errors[0],
        sketch.minimum,
        sketch.maximum,
        sketch.total / sketch.count,
        sketch.quantile(0.5),
        sketch.quantile(0.95),
        sketch.quantile(0.99),
    )
