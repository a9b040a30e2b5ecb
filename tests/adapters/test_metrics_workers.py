"""Metrics over several workers: two real processes write to one directory, and a scrape of either has the sums."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.observability.exposition import DIRECTORY, PUBLISH_SECONDS, WorkersExposition, shared_directory
from adapters.observability.gauges import GaugeCollector
from domain.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
Say = Callable[[str], str]


@contextmanager
def worker(directory: Path, depth: float, lag: float) -> Iterator[tuple[subprocess.Popen[str], Say]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.metrics_worker", str(depth), str(lag)],
        cwd=ROOT,
        env={**os.environ, DIRECTORY: str(directory)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def say(line: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        answer: str = json.loads(process.stdout.readline())
        return answer

    try:
        yield process, say
    finally:
        process.kill()
        process.communicate()


def values(body: str) -> dict[str, float]:
    return {
        "/".join((sample.name, *(value for _, value in sorted(sample.labels.items())))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def test_a_scrape_of_one_worker_has_the_sums_of_all(tmp_path: Path) -> None:
    with ExitStack() as stack:
        _, first = stack.enter_context(worker(tmp_path, depth=2, lag=0.5))
        other, second = stack.enter_context(worker(tmp_path, depth=3, lag=0.25))
        for _ in range(3):
            first("record")
        for _ in range(5):
            second("record")
        for say in (first, second, second):
            say("refuse")
        assert second("ring") == "1 alarms"

        seen = values(first("scrape"))
        assert seen["headgate_requests_total/openai/served/fast"] == 8
        assert seen["headgate_tokens_total/completion/fast"] == 8 * 34
        assert seen["headgate_event_gap_seconds_bucket/+Inf/fast"] == 8 * sum(range(14))
        assert seen["headgate_request_duration_seconds_sum/served/fast"] == 16
        assert seen["headgate_refusals_total/invalid_json/chat"] == 3  # G9
        assert seen["headgate_queue_depth"] == 5
        assert seen["headgate_event_loop_lag_seconds"] == 0.5
        assert seen["headgate_stage_duration_seconds/0.99/2.0_CACHE_LOOKUP"] == 0.5
        assert seen["headgate_stage_tracked/2.0_CACHE_LOOKUP"] == 5
        assert values(second("scrape")) == seen

        other.kill()
        other.wait()
        left = values(first("scrape"))
        assert left["headgate_requests_total/openai/served/fast"] == 8
        assert left["headgate_queue_depth"] == 2


def test_the_gauges_are_published_again_and_again(tmp_path: Path) -> None:
    alarms: list[tuple[float, Callable[[], None]]] = []
    read: list[float] = []

    def depth() -> float:
        read.append(1.0)
        return 1.0

    expose = WorkersExposition(
        tmp_path, GaugeCollector({"headgate_queue_depth": depth}), lambda *alarm: alarms.append(alarm)
    )
    for times in range(1, 4):
        seconds, ring = alarms.pop()
        assert seconds == PUBLISH_SECONDS
        ring()
        assert len(read) == times
    (tmp_path / f"gauge_livesum_{os.getpid()}.db").write_bytes(bytes(1024))
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (tmp_path / f"gauge_livemax_{gone.pid}.db").write_bytes(bytes(1024))
    assert expose()[1].startswith("text/plain")
    assert [path.name for path in tmp_path.iterdir()] == [f"gauge_livesum_{os.getpid()}.db"]


def test_the_directory_is_checked_before_the_port_opens(tmp_path: Path) -> None:
    assert shared_directory(None) is None
    assert shared_directory(str(tmp_path)) == tmp_path
    for value in ("", str(tmp_path / "missing")):
        with pytest.raises(ConfigurationError, match=DIRECTORY) as raised:
            shared_directory(value)
        assert "missing" not in raised.value.message
