"""What a scrape gets: the metrics of this process, or of all workers that share a directory."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from adapters.observability.gauges import GAUGES, GaugeCollector
from domain.errors import ConfigurationError

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The environment name by which prometheus-client keeps counters in files; it is read when that is imported."""
PUBLISH_SECONDS = 5.0
"""How old the gauges of the workers that do not answer the scrape may be."""

Alarm = Callable[[float, Callable[[], None]], object]
"""Calls a function once after so many seconds."""


class ProcessExposition:
    """All that is registered in this process: called, it gives a body and its content type, from any thread."""

    def __init__(self, registry: CollectorRegistry, gauges: GaugeCollector) -> None:
        self._registry = registry
        registry.register(gauges)

    def __call__(self) -> tuple[bytes, str]:
        """The gauges are read now."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4


class WorkersExposition:
    """The counters of all workers, dead ones too, and the gauges of those that live.

    Each worker publishes its gauges in the directory every PUBLISH_SECONDS, since a scrape reaches one of them only.
    """

    def __init__(self, directory: Path, gauges: GaugeCollector, alarm: Alarm) -> None:
        self._directory = directory
        self._collector = gauges
        self._alarm = alarm
        self._gauges = {
            name: Gauge(name, row.help, row.labels, registry=None, multiprocess_mode=row.over_workers)
            for name, row in GAUGES.items()
        }
        alarm(PUBLISH_SECONDS, self._publish_again)

    def __call__(self) -> tuple[bytes, str]:
        """This worker's gauges are read now, the others' were at most PUBLISH_SECONDS ago."""
        self._publish()
        self._bury()
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._directory))  # type: ignore[no-untyped-call]  # has no types
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4

    def _publish_again(self) -> None:
        try:
            self._publish()
        finally:  # a disk that is full now may have room then
            self._alarm(PUBLISH_SECONDS, self._publish_again)

    def _publish(self) -> None:
        for family in self._collector.collect():
            gauge = self._gauges[family.name]
            for sample in family.samples:
                (gauge.labels(**sample.labels) if sample.labels else gauge).set(sample.value)

    def _bury(self) -> None:
        """Takes the gauges of workers away that are gone, also of those that had no time to say so."""
        for pid in {int(path.stem.rpartition("_")[2]) for path in self._directory.glob("gauge_live*_*.db")}:
            if not _lives(pid):
                with suppress(FileNotFoundError):  # another worker is scraped too, and was faster
                    mark_process_dead(pid, str(self._directory))  # type: ignore[no-untyped-call]  # has no types


def shared_directory(value: str | None) -> Path | None:
    """The directory that the workers share, from the value of PROMETHEUS_MULTIPROC_DIR; None if it is not set.

    Raises `ConfigurationError` if it is no directory: prometheus-client would fail at the first request.
    """
    if value is None:
        return None
    if not value or not Path(value).is_dir() or not os.access(value, os.W_OK):
        raise ConfigurationError(
            f"{DIRECTORY}: got a value that is no writable directory; takes an empty directory, or leave it unset"
        )
    return Path(value)


def _lives(pid: int) -> bool:
    try:
        with suppress(PermissionError):  # it is there, and somebody else's
            os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
