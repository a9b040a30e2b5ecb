"""Refusals as a metric and as log lines, a bounded number of them whatever comes.

refusals = LoggedRefusals(registry, clock)
refusals.refuse("chat", "invalid_json", 400)
"""

from collections import deque

from prometheus_client import CollectorRegistry, Counter

from adapters.observability.logging import get_logger
from adapters.observability.metrics import CODES, OTHER
from ports.clock import Clock
from ports.refusals import SERVER_CODES, STREAM_CODES, Door, Refusals

LINES_A_SECOND = 10
"""For each code."""
KNOWN_CODES = CODES | SERVER_CODES | STREAM_CODES
KNOWN_DOORS = frozenset(door.value for door in Door)


class _Series:
    """What is remembered of one code: when its last lines were written, and how many refusals had none since."""

    __slots__ = ("suppressed", "written_at")

    def __init__(self) -> None:
        self.written_at: deque[float] = deque(maxlen=LINES_A_SECOND)
        self.suppressed = 0


class LoggedRefusals(Refusals):
    """Counts each refusal by door and code, and writes at most LINES_A_SECOND lines a code in any second.

    A line says how many refusals of its code were `suppressed` since the line before. Of what the caller sent, a line
    has at most the thread id. The number of series is bounded by the vocabulary of the port.
    """

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._log = get_logger("headgate.refusal")
        self._counter = Counter(
            "headgate_refusals",
            "Requests that got an error before any of their answer.",
            ("door", "code"),
            registry=registry,
        )
        self._counters: dict[tuple[str, str], Counter] = {}
        self._series: dict[str, _Series] = {}

    def refuse(self, door: str, code: str, status: int | None = None) -> None:
        """Counts it; writes a line if its code has had less than LINES_A_SECOND in the last second."""
        door, code = str(door) if door in KNOWN_DOORS else OTHER, code if code in KNOWN_CODES else OTHER
        counter = self._counters.get((door, code))
        if counter is None:  # kept: to look a series up by its labels costs as much as to count
            counter = self._counters[door, code] = self._counter.labels(door, code)
        counter.inc()
        series = self._series.get(code)
        if series is None:
            series = self._series[code] = _Series()
        now, written_at = self._clock.monotonic(), series.written_at
        if len(written_at) == LINES_A_SECOND and now - written_at[0] < 1:
            series.suppressed += 1
            return
        written_at.append(now)
        suppressed, series.suppressed = series.suppressed, 0
        self._log.info("refused", door=door, code=code, status=status, suppressed=suppressed)
