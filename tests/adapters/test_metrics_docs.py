"""docs/metrics.md says what the code exposes: its table is compared with the metrics, line by line."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from adapters.memory.manual_clock import ManualClock
from adapters.observability.defects import PrometheusDefects
from adapters.observability.gauges import GAUGES
from adapters.observability.metrics import PrometheusRecorder
from adapters.observability.model_lists import ModelListFailures
from adapters.observability.refusals import LoggedRefusals

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def expected_rows() -> list[str]:
    registry = CollectorRegistry()
    PrometheusRecorder(registry, (), ())
    LoggedRefusals(registry, ManualClock())
    PrometheusDefects(registry)
    ModelListFailures(registry)
    rows = []
    for metric in registry._collector_to_names:
        assert isinstance(metric, MetricWrapperBase)
        (family,) = metric.collect()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    for name, row in GAUGES.items():
        rows.append(f"| `{name}` | gauge | {', '.join(f'`{label}`' for label in row.labels)} | {row.help} |")
    return rows


def test_the_page_has_every_metric_and_no_other() -> None:
    written = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert written == expected_rows(), "\n".join(["docs/metrics.md should have these rows:", *expected_rows()])


def test_the_examples_name_metrics_that_are_there() -> None:
    names = {row.split("`")[1] for row in expected_rows()}
    page = PAGE.read_text("utf-8")
    used = set(re.findall(r"\bheadgate_\w+", page))
    assert {name.removesuffix("_bucket") for name in used} == names
