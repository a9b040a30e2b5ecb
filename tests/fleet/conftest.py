"""What the scenarios share: a fleet on a healthy Redis, how long they run, and the seed of their chance."""

import os
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fleet.footprint import returns_to_rest
from tests.fleet.harness import Fleet, running_fleet
from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def healthy() -> Iterator[Fleet]:
    """Three replicas on a Redis of their own that nobody hurts."""
    with RedisServer() as redis, running_fleet(redis) as fleet:
        yield fleet


@pytest.fixture
async def fleet(healthy: Fleet) -> AsyncIterator[Fleet]:
    """The healthy fleet; each test gives back what it takes of it."""
    async with returns_to_rest(healthy):
        yield healthy


@pytest.fixture(scope="session")
def seconds() -> float:
    """How long a scenario under load goes on: HEADGATE_FLEET_SECONDS, short unless told otherwise."""
    return float(os.environ.get("HEADGATE_FLEET_SECONDS", "1.5"))


@pytest.fixture(scope="session")
def slack() -> float:
    """Seconds that a busy machine may add to a time that is measured here: none in the long forms."""
    return 0.0 if "HEADGATE_FLEET_SECONDS" in os.environ else 0.1


@pytest.fixture
def rng() -> random.Random:
    """Chance that can be had again: HEADGATE_FLEET_SEED; pytest shows the printed seed if the test fails."""
    seed = int(os.environ.get("HEADGATE_FLEET_SEED", random.SystemRandom().getrandbits(32)))
    print(f"HEADGATE_FLEET_SEED={seed}")  # noqa: T201 - of use only with a failure
    return random.Random(seed)
