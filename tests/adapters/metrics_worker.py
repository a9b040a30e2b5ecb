"""A worker that shares its metrics by files, for test_metrics_workers: does what each line of its input says."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from adapters.memory.clock import SystemClock
from adapters.observability.exposition import DIRECTORY, WorkersExposition
from adapters.observability.gauges import GaugeCollector
from adapters.observability.logging import configure_logging
from adapters.observability.metrics import PrometheusRecorder
from adapters.observability.refusals import LoggedRefusals
from tests.adapters.records import SERVED
from tests.adapters.test_metrics_gauges import Statistics


def main(depth: float, lag: float) -> None:
    alarms: list[tuple[float, Callable[[], None]]] = []
    registry = CollectorRegistry()
    recorder, refusals = (
        PrometheusRecorder(registry, {"fast"}, {"local/llama-3"}),
        LoggedRefusals(registry, SystemClock()),
    )
    configure_logging("critical", "json")
    gauges = GaugeCollector(
        {"headgate_queue_depth": lambda: depth, "headgate_event_loop_lag_seconds": lambda: lag},
        lambda: [Statistics("2.0_CACHE_LOOKUP", int(depth), lag, lag, lag)],
    )
    expose = WorkersExposition(
        Path(os.environ[DIRECTORY]), gauges, lambda seconds, ring: alarms.append((seconds, ring))
    )
    for line in sys.stdin:
        if line == "record\n":
            recorder.record(SERVED)
        elif line == "refuse\n":
            refusals.refuse("chat", "invalid_json", 400)
        elif line == "ring\n":
            alarms.pop()[1]()
        answer = expose()[0].decode() if line == "scrape\n" else f"{len(alarms)} alarms"
        print(json.dumps(answer), flush=True)  # noqa: T201 - the answer is its output


main(float(sys.argv[1]), float(sys.argv[2]))
