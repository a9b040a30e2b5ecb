"""Failures to get a provider's list of models as a counter: `headgate_model_list_failures_total{provider, code}`."""

from prometheus_client import CollectorRegistry, Counter

from adapters.observability.metrics import CODES, OTHER


class ModelListFailures:
    """Counts them. Providers are those of the configuration, so that the number of series is bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "headgate_model_list_failures",
            "Lists of models that a provider did not give.",
            ("provider", "code"),
            registry=registry,
        )

    def count(self, provider: str, code: str) -> None:
        """One more."""
        self._counter.labels(provider, code if code in CODES else OTHER).inc()
