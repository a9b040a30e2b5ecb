"""Prometheus metrics of finished requests: counters and histograms, all from the one record that each leaves.

    registry = CollectorRegistry()
    recorder = PrometheusRecorder(registry, routes={"fast"}, targets={"openai/gpt-4o-mini"})

What callers may write at will is never a label: a model name that is no configured route is `other`, and a tenant does
not appear at all. So the number of series is bounded by the configuration (P1).
"""

from collections.abc import Collection, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from domain import errors
from domain.delta import Dialect
from domain.errors import SSEBaseError
from domain.model import GAP_BOUNDS, CacheStatus, Outcome, RequestRecord
from ports.recorder import Recorder

OTHER = "other"
"""The label of every route, target or code that is not known beforehand."""
FIRST_EVENT_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
TOTAL_BOUNDS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

_ERRORS = (getattr(errors, name) for name in errors.__all__)
CODES = frozenset(one.code for one in _ERRORS if isinstance(one, type) and issubclass(one, SSEBaseError))
_ENDS = {Outcome.SERVED: "ok", Outcome.CANCELLED: "cancelled"}
_RESULTS = CODES | set(_ENDS.values())


class CountedHistogram(Histogram):
    """A histogram that also takes what somebody else has counted already, under the same bounds."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """Adds the counts, bucket by bucket, the last above all bounds; `total` is the sum of what was counted."""
        self._sum.inc(total)
        for bucket, count in zip(self._buckets, counts, strict=False):
            if count:
                bucket.inc(count)


class PrometheusRecorder(Recorder):
    """Counts each record, in 2 to 9 us (4 to 22 in files that workers share). Safe over threads."""

    def __init__(self, registry: CollectorRegistry, routes: Collection[str], targets: Collection[str]) -> None:
        self._routes = frozenset(routes)
        self._targets = frozenset(targets)
        self._requests = Counter(
            "headgate_requests", "Finished requests.", ("door", "route", "outcome"), registry=registry
        )
        self._duration = Histogram(
            "headgate_request_duration_seconds",
            "Time from a request to the end of its answer.",
            ("route", "outcome"),
            registry=registry,
            buckets=TOTAL_BOUNDS,
        )
        self._first_event = Histogram(
            "headgate_time_to_first_event_seconds",
            "Time from a request to the first event from upstream, its wait for a slot included.",
            ("route",),
            registry=registry,
            buckets=FIRST_EVENT_BOUNDS,
        )
        self._gap = CountedHistogram(
            "headgate_event_gap_seconds",
            "Pauses between two batches of one answer. The sum runs from the first event to the end of the answer.",
            ("route",),
            registry=registry,
            buckets=GAP_BOUNDS,
        )
        self._tokens = Counter(
            "headgate_tokens", "Tokens, as the providers counted them.", ("route", "kind"), registry=registry
        )
        cache = Counter("headgate_cache_requests", "Requests by what served them.", ("status",), registry=registry)
        self._cache_by_status = {status: cache.labels(status.value) for status in CacheStatus}
        self._attempts = Counter(
            "headgate_upstream_attempts",
            "Calls of providers by how they ended.",
            ("target", "code"),
            registry=registry,
        )
        self._rescues = Counter(
            "headgate_rescues", "Calls that went on in the middle of an answer.", ("route",), registry=registry
        )
        self._requests_by_labels: dict[tuple[Dialect, str, Outcome], tuple[Counter, Histogram]] = {}
        self._attempts_by_labels: dict[tuple[str | None, str | None], Counter] = {}
        self._answers_by_route: dict[str, tuple[Histogram, CountedHistogram, Counter, Counter]] = {}

    def record(self, record: RequestRecord) -> None:
        """Counts it under its route, or under `other`."""
        route = record.model if record.model in self._routes else OTHER
        requests, duration = self._of_requests(record.door, route, record.outcome)
        requests.inc()
        duration.observe(record.total_seconds)
        self._cache_by_status[record.cache].inc()
        first_event, gap, prompt, completion = self._of_answers(route)
        if record.first_event_seconds is not None:
            first_event.observe(record.first_event_seconds)
            if any(record.gaps):
                gap.add(record.gaps, record.total_seconds - record.first_event_seconds)
        if record.usage is not None:
            # A counter refuses to go back, and what a provider says is not ours to trust.
            prompt.inc(max(0, record.usage.prompt_tokens))
            completion.inc(max(0, record.usage.completion_tokens))
        if record.attempts:
            for target, code in record.failures:
                self._of_attempts(target, code).inc()
            if record.attempts > len(record.failures):  # the last was not one that failed by itself
                self._of_attempts(record.target, _ENDS.get(record.outcome, record.code)).inc()
            if record.rescues:
                self._rescues.labels(route).inc(record.rescues)

    def _of_requests(self, door: Dialect, route: str, outcome: Outcome) -> tuple[Counter, Histogram]:
        """The series of these labels. Kept: to look one up by its labels costs prometheus-client as much as to count.

        Bounded as the labels are.
        """
        series = self._requests_by_labels.get((door, route, outcome))
        if series is None:
            series = (
                self._requests.labels(door.value, route, outcome.value),
                self._duration.labels(route, outcome.value),
            )
            self._requests_by_labels[door, route, outcome] = series
        return series

    def _of_attempts(self, target: str | None, code: str | None) -> Counter:
        known = target if target in self._targets else OTHER, code if code in _RESULTS else OTHER
        series = self._attempts_by_labels.get(known)
        if series is None:
            series = self._attempts_by_labels[known] = self._attempts.labels(*known)
        return series

    def _of_answers(self, route: str) -> tuple[Histogram, CountedHistogram, Counter, Counter]:
        series = self._answers_by_route.get(route)
        if series is None:
            series = self._answers_by_route[route] = (
                self._first_event.labels(route),
                self._gap.labels(route),
                self._tokens.labels(route, "prompt"),
                self._tokens.labels(route, "completion"),
            )
        return series
