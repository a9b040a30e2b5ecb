"""What all tests share: where they may run, their order, the examples of properties (in CI the same each time)."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow]
"""An example that took long on a busy machine says nothing of the code."""

settings.register_profile("here", deadline=None, suppress_health_check=SLOW)
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

OWN_FILES = ("headgate.toml", "headgate-keys.json")
"""What a service reads in the folder where it starts, without being told."""

WAITING = ("fleet", "faults")
"""Tests of processes, which wait for leases and cooldowns."""


def pytest_configure() -> None:
    """Ends the run where somebody's own routes or keys would change what the services under test answer."""
    found = [name for name in OWN_FILES if Path(name).exists()]
    if found:
        raise pytest.UsageError(f"the services under test would read {' and '.join(found)} here: move it away")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits comes first: begun last, it would be waited for when nothing else is left to do."""
    items.sort(key=lambda item: item.path.parent.name not in WAITING)
