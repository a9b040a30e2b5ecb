"""Gauges that are read when they are scraped: what is open, in use, waiting and kept at that moment.

collector = GaugeCollector({"headgate_queue_depth": lambda: len(queue)}, tracker_statistics)
registry.register(collector)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where

Reading = Callable[[], float]
"""Gives a value now. Called from any thread, so it must only look. If it raises, the gauge is left out."""


class StageStatistics(Protocol):
    """What is known of one stage: its identifier, how many times it was timed, and percentiles in seconds."""

    @property
    def stage(self) -> str: ...  # noqa: D102 - named above
    @property
    def count(self) -> int: ...  # noqa: D102
    @property
    def p50(self) -> float: ...  # noqa: D102
    @property
    def p95(self) -> float: ...  # noqa: D102
    @property
    def p99(self) -> float: ...  # noqa: D102


class GaugeRow(NamedTuple):
    """One gauge: its help text, how the values of several workers become one, and its labels."""

    help: str
    over_workers: Literal["livesum", "livemax"] = "livesum"
    labels: tuple[str, ...] = ()


STAGE_SECONDS, STAGE_COUNT = "headgate_stage_duration_seconds", "headgate_stage_tracked"

GAUGES: Mapping[str, GaugeRow] = MappingProxyType(
    {
        "headgate_open_generations": GaugeRow("Answers that are being made, or wait for a slot."),
        "headgate_slots_in_use": GaugeRow("Slots that are taken."),
        "headgate_queue_depth": GaugeRow("Requests that wait for a slot."),
        "headgate_permits": GaugeRow("Calls at once that the targets are found to answer well, added up."),
        "headgate_permits_in_use": GaugeRow("Calls of targets, where concurrency is adaptive."),
        "headgate_permits_awaited": GaugeRow("Calls that wait for a target to have room."),
        "headgate_open_breakers": GaugeRow("Targets that are shut out, or wait for their probe.", "livemax"),
        "headgate_stream_log_streams": GaugeRow("Streams that are kept."),
        "headgate_stream_log_bytes": GaugeRow("Bytes of the streams that are kept."),
        "headgate_cache_entries": GaugeRow("Answers in the cache of the process."),
        "headgate_cache_bytes": GaugeRow("Bytes of the answers in the cache of the process."),
        "headgate_cache_unreadable": GaugeRow("Entries of the shared cache so far that could not be read."),
        "headgate_followed_streams": GaugeRow("Streams of other replicas that are read here."),
        "headgate_redis_up": GaugeRow("Whether Redis serves: 1 or 0.", "livemax"),
        "headgate_redis_connections": GaugeRow("Connections to Redis."),
        "headgate_redis_commands": GaugeRow("Commands sent to Redis so far."),
        "headgate_redis_round_trips": GaugeRow("Pipelines sent to Redis so far."),
        "headgate_limiter_callers": GaugeRow("Callers whose use the limiter remembers."),
        "headgate_limiter_decided_alone": GaugeRow("Decisions on limits so far that the policy made without Redis."),
        "headgate_connections": GaugeRow("Connections of clients."),
        "headgate_connections_idle": GaugeRow("Connections of clients without a request under way."),
        "headgate_connections_refused": GaugeRow("Connections so far that were refused, since there were too many."),
        "headgate_connections_evicted": GaugeRow("Idle connections so far that were closed to make room for others."),
        "headgate_event_loop_lag_seconds": GaugeRow(
            "The longest that the event loop was held up since the last scrape.", "livemax"
        ),
        "headgate_event_loop_blocks": GaugeRow("Times that the event loop was blocked for 2 s or longer so far."),
        STAGE_SECONDS: GaugeRow("Time in a stage of sampled requests.", "livemax", ("stage", "quantile")),
        STAGE_COUNT: GaugeRow("Times of a stage behind its quantiles.", "livesum", ("stage",)),
    }
)
"""All gauges by name. Those of a part that cannot be read (another adapter) are left out of the scrape."""


class GaugeCollector(Collector):
    """Reads the gauges of this process. `readings` are by the names in GAUGES, those of the stages apart.

    One that raises is reported and left out: the scrape is how the others are seen just then.
    """

    def __init__(
        self,
        readings: Mapping[str, Reading],
        stages: Callable[[], Iterable[StageStatistics]] = tuple,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._wall = Wall(defects, Where.GAUGE)
        self._readings = {name: (GAUGES[name], read) for name, read in readings.items()}
        self._stages = stages

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family for each gauge."""
        for name, (row, read) in self._readings.items():
            with self._wall:
                value = float(read())
                yield GaugeMetricFamily(name, row.help, value)
        seconds = GaugeMetricFamily(STAGE_SECONDS, GAUGES[STAGE_SECONDS].help, labels=GAUGES[STAGE_SECONDS].labels)
        count = GaugeMetricFamily(STAGE_COUNT, GAUGES[STAGE_COUNT].help, labels=GAUGES[STAGE_COUNT].labels)
        for one in self._stages():
            for quantile, value in (("0.5", one.p50), ("0.95", one.p95), ("0.99", one.p99)):
                seconds.add_metric((one.stage, quantile), value)
            count.add_metric((one.stage,), one.count)
        yield seconds
        yield count
