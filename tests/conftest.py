"""What all tests share: their order, and the examples of properties: in CI the same each time, elsewhere new ones."""

import os

import pytest
from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow]
"""An example that took long on a busy machine says nothing of the code."""

settings.register_profile("here", deadline=None, suppress_health_check=SLOW)
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

WAITING = ("fleet", "faults")
"""Tests of processes, which wait for leases and cooldowns."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits comes first: begun last, it would be waited for when nothing else is left to do."""
    items.sort(key=lambda item: item.path.parent.name not in WAITING)
