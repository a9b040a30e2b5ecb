"""A part of the service that has ended by a defect of ours: readiness fails, and says which."""

import asyncio

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.keys import MemoryApiKeys
from domain.services.sweeper import Sweeper
from ports.keys import ApiKey
from tests.entrypoints.demo_service import demo
from tests.service import running


class BrokenSweeper(Sweeper):
    """Ends by itself."""

    async def run(self) -> None:
        raise RuntimeError("a defect")


class BrokenKeys(MemoryApiKeys):
    """Is read once."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def list(self) -> tuple[ApiKey, ...]:
        self.reads += 1
        if self.reads > 1:
            raise RuntimeError("a defect")
        return ()


@pytest.mark.parametrize(
    ("part", "adapters"),
    [("sweeper", {"sweeper": BrokenSweeper(SystemClock())}), ("key refresh", {"api_keys": BrokenKeys()})],
)
async def test_a_service_of_which_a_part_has_ended_takes_no_new_work(part: str, adapters: dict[str, object]) -> None:
    """Nobody would see the end of a timeout, or that a key was revoked."""
    async with running({}, llm={"demo": demo()}, **adapters) as service:
        async with asyncio.timeout(5.0):
            while (answer := await service.client.get("/readyz")).is_success:
                pass
        assert (answer.status_code, answer.json()) == (503, {"status": "broken", "part": part})
        assert (await service.client.get("/livez")).status_code == 200
