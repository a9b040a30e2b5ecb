"""What the execution tracker tells: the stages of one thread, and the statistics of each stage."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageSummary:
    """One stage of one thread. Seconds; `started` counts from the first stage of the thread.

    `seconds` is None while it runs. `error` is the type of what was raised in it, `code` its stable code if it is one
    of ours; never its text, and no foreign `code`, which may be text as well.
    """

    stage: str
    name: str
    started: float
    seconds: float | None
    error: str | None
    code: str | None
    substages: tuple["StageSummary", ...]


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """All stages of one thread. `seconds` is from its first stage to the end of its last, or to now if one runs.

    `untracked` is the part of `seconds` in which no stage was running, `overlapping` what more than one stage counted:
    the durations of `stages` plus `untracked` less `overlapping` are `seconds`. `dropped` stages were too many to keep.
    """

    thread_id: str
    seconds: float
    untracked: float
    overlapping: float
    dropped: int
    stages: tuple[StageSummary, ...]


@dataclass(frozen=True, slots=True)
class StageStatistics:
    """One stage over all sampled threads; seconds, quantiles within 1 %. A cancellation is no error."""

    stage: str
    count: int
    errors: int
    minimum: float
    maximum: float
    mean: float
    p50: float
    p95: float
    p99: float
