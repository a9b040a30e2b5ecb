"""The metrics of finished requests: what each record adds, and that no caller can add a label."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from adapters.memory.recorder import MemoryRecorder
from adapters.observability.metrics import CODES, CountedHistogram, PrometheusRecorder
from adapters.observability.recorders import FanOutRecorder
from domain.delta import Dialect, Usage
from domain.errors import ProviderTimeoutError, RateLimitExceededError
from domain.model import GAP_BOUNDS, CacheStatus, Outcome, RequestRecord
from tests.adapters.records import CANCELLED, FAILED, GAPS, HIT, REFUSED, SERVED


def counted(*records: RequestRecord) -> CollectorRegistry:
    registry = CollectorRegistry()
    recorder = PrometheusRecorder(registry, {"fast"}, {"local/llama-3"})
    for record in records:
        recorder.record(record)
    return registry


def test_requests_are_counted_by_door_route_and_outcome() -> None:
    registry = counted(SERVED, SERVED, HIT, REFUSED, SERVED._replace(model="local/anything"))

    def requests(door: str, route: str, outcome: str) -> float | None:
        labels = {"door": door, "route": route, "outcome": outcome}
        return registry.get_sample_value("headgate_requests_total", labels)

    assert requests("openai", "fast", "served") == 3
    assert requests("native", "fast", "rejected_rate") == 1
    assert requests("openai", "other", "served") == 1
    assert requests("native", "fast", "served") is None


def test_durations_are_histograms_by_route() -> None:
    registry = counted(SERVED, HIT, FAILED)
    served = {"route": "fast", "outcome": "served"}
    assert registry.get_sample_value("headgate_request_duration_seconds_count", served) == 2
    assert registry.get_sample_value("headgate_request_duration_seconds_sum", served) == 2.0008
    assert registry.get_sample_value("headgate_request_duration_seconds_bucket", {**served, "le": "0.001"}) == 1
    assert registry.get_sample_value("headgate_time_to_first_event_seconds_count", {"route": "fast"}) == 1
    assert registry.get_sample_value("headgate_time_to_first_event_seconds_sum", {"route": "fast"}) == 0.3


def test_gaps_are_added_in_bulk_into_the_buckets_in_which_they_were_counted() -> None:
    registry = counted(SERVED, SERVED, CANCELLED, HIT)
    for index, bound in enumerate((*GAP_BOUNDS, math.inf)):
        le = "+Inf" if bound == math.inf else str(bound)
        bucket = registry.get_sample_value("headgate_event_gap_seconds_bucket", {"route": "fast", "le": le})
        assert bucket == 2 * sum(GAPS[: index + 1])
    assert registry.get_sample_value("headgate_event_gap_seconds_count", {"route": "fast"}) == 2 * sum(GAPS)
    assert registry.get_sample_value("headgate_event_gap_seconds_sum", {"route": "fast"}) == 2 * (2.0 - 0.3)


@given(st.lists(st.floats(min_value=0, max_value=20), max_size=30))
def test_counts_added_in_bulk_are_what_observing_each_would_give(values: list[float]) -> None:
    """For any values; if prometheus-client changes what CountedHistogram stands on, this fails."""
    registry = CollectorRegistry()
    one = CountedHistogram("one", "", registry=registry, buckets=GAP_BOUNDS)
    bulk = CountedHistogram("bulk", "", registry=registry, buckets=GAP_BOUNDS)
    for value in values:
        one.observe(value)
    counts = [0] * (len(GAP_BOUNDS) + 1)
    for value in values:
        counts[next(i for i, bound in enumerate((*GAP_BOUNDS, math.inf)) if value <= bound)] += 1
    bulk.add(counts, sum(values))
    samples = {
        name: [
            (s.name.removeprefix(name), s.labels, s.value) for s in family.samples if not s.name.endswith("_created")
        ]
        for name in ("one", "bulk")
        for family in registry.collect()
        if family.name == name
    }
    assert samples["one"][:-1] == samples["bulk"][:-1]
    assert math.isclose(samples["one"][-1][2], samples["bulk"][-1][2])


def test_tokens_are_counted_by_route_and_what_makes_no_sense_is_nothing() -> None:
    registry = counted(SERVED, SERVED, HIT, SERVED._replace(usage=Usage(-5, 1)))
    assert registry.get_sample_value("headgate_tokens_total", {"route": "fast", "kind": "prompt"}) == 24
    assert registry.get_sample_value("headgate_tokens_total", {"route": "fast", "kind": "completion"}) == 69


def test_the_cache_is_counted_by_status_and_each_is_there_from_the_start() -> None:
    registry = counted(SERVED, HIT, HIT)
    values = {
        status: registry.get_sample_value("headgate_cache_requests_total", {"status": status.value})
        for status in CacheStatus
    }
    assert values == {**dict.fromkeys(CacheStatus, 0.0), CacheStatus.HIT_L1: 2, CacheStatus.MISS: 1}


def test_rescues_are_counted_by_route() -> None:
    registry = counted(SERVED, SERVED._replace(attempts=3, rescues=2))
    assert registry.get_sample_value("headgate_rescues_total", {"route": "fast"}) == 2


def test_attempts_are_counted_by_target_and_code_and_add_up() -> None:
    unheard_of = FAILED._replace(target="local/unheard-of", code="a_code_of_another_package", attempts=1, failures=())
    rescued = SERVED._replace(attempts=2, failures=(("local/llama-3", "upstream_truncated"),))
    registry = counted(SERVED, FAILED, CANCELLED, HIT, REFUSED, unheard_of, rescued)
    attempts = {
        (sample.labels["target"], sample.labels["code"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "headgate_upstream_attempts_total"
    }
    assert attempts == {
        ("local/llama-3", "ok"): 2,
        ("local/llama-3", "provider_unavailable"): 1,
        ("other", "provider_unavailable"): 1,
        ("local/llama-3", "upstream_truncated"): 1,
        ("local/llama-3", "provider_timeout"): 1,
        ("local/llama-3", "cancelled"): 1,
        ("other", "other"): 1,
    }
    assert {ProviderTimeoutError.code, RateLimitExceededError.code} <= CODES


text = st.text(min_size=1, max_size=40)
anything = st.builds(
    RequestRecord,
    thread_id=text,
    stream_id=text,
    tenant=text,
    door=st.sampled_from(Dialect),
    model=text,
    target=st.none() | text,
    outcome=st.sampled_from(Outcome),
    code=st.none() | text,
    cache=st.sampled_from(CacheStatus),
    attempts=st.integers(0, 5),
    usage=st.none() | st.builds(Usage, st.integers(-10, 10**9), st.integers(-10, 10**9)),
    first_event_seconds=st.none() | st.floats(0, 100),
    total_seconds=st.floats(0, 1000),
    gaps=st.just(()) | st.just(GAPS),
    rescues=st.integers(0, 5),
    failures=st.lists(st.tuples(text, text), max_size=5).map(tuple),
)


@given(st.lists(anything, max_size=20))
def test_no_record_can_add_a_label_of_its_own(records: list[RequestRecord]) -> None:
    """P1: for any record, the labels are words of ours and of the configuration, so that their number is bounded."""
    ours = {"fast", "other", "ok", "cancelled", "prompt", "completion", "local/llama-3", *CODES}
    ours |= {*Dialect, *Outcome, *CacheStatus}
    used = {
        value
        for family in counted(*records).collect()
        for sample in family.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert used <= ours


def test_what_is_exposed_can_be_parsed() -> None:
    exposed = generate_latest(counted(SERVED, HIT, FAILED)).decode()
    names = {family.name for family in text_string_to_metric_families(exposed)}
    assert {"headgate_requests", "headgate_event_gap_seconds", "headgate_upstream_attempts"} <= names
    assert "acme-tenant" not in exposed


def test_a_fan_out_gives_each_record_to_all() -> None:
    first, second = MemoryRecorder(10), MemoryRecorder(10)
    recorder = FanOutRecorder([first, second])
    recorder.record(SERVED)
    recorder.record(HIT)
    assert first.records == second.records == (SERVED, HIT)


def test_a_fan_out_names_those_behind_it() -> None:
    assert str(FanOutRecorder([MemoryRecorder(1), MemoryRecorder(1)])) == "MemoryRecorder, MemoryRecorder"
