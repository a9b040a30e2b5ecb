"""Lists of models that could not be had, as a counter whose labels are bounded."""

from prometheus_client import CollectorRegistry

from adapters.observability.model_lists import ModelListFailures


def test_each_is_counted_by_provider_and_code() -> None:
    registry = CollectorRegistry()
    failures = ModelListFailures(registry)
    failures.count("a", "provider_timeout")
    failures.count("a", "provider_timeout")
    failures.count("a", "planted")
    name = "headgate_model_list_failures_total"
    assert registry.get_sample_value(name, {"provider": "a", "code": "provider_timeout"}) == 2
    assert registry.get_sample_value(name, {"provider": "a", "code": "other"}) == 1
