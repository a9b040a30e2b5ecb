"""A part of the service that has ended by a defect of ours: readiness fails, and says which (G8).

What becomes of the process then is in tests/faults/test_defects.py.
"""

import asyncio

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.keys import MemoryApiKeys
from adapters.settings import get_settings
from container import Container
from domain.services.sweeper import Sweeper
from ports.defects import LOGGED_DEFECTS
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
    [("sweeper", {"sweeper": BrokenSweeper(SystemClock())}), ("key_refresh", {"api_keys": BrokenKeys()})],
)
async def test_a_service_of_which_a_part_has_ended_takes_no_new_work_g8(
    part: str, adapters: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would see the end of a timeout, or that a key was revoked."""
    monkeypatch.setattr("domain.services.key_refresh.REFRESH_SECONDS", 0.01)
    async with running({}, llm={"demo": demo()}, **adapters) as service:
        async with asyncio.timeout(5.0):
            while (answer := await service.client.get("/readyz")).is_success:
                pass
        assert (answer.status_code, answer.json()) == (503, {"status": "broken", "part": part})
        assert (await service.client.get("/livez")).status_code == 200


async def test_what_nobody_catches_in_the_event_loop_is_counted_g1() -> None:
    """A callback of a library, a task that nobody waits for; what the network does is no defect."""
    async with running({}, llm={"demo": demo()}) as service:
        loop = asyncio.get_running_loop()
        for error in (RuntimeError("a defect"), ConnectionResetError()):
            loop.call_exception_handler({"message": "planted", "exception": error})
        loop.call_exception_handler({"message": "planted, without an error"})
        body = (await service.client.get("/metrics")).text
    assert 'headgate_defects_total{where="event_loop"} 1.0' in body
    assert loop.get_exception_handler() is None


@pytest.mark.parametrize("environ", [{}, {"REDIS_URL": "redis://127.0.0.1:1", "RATE_LIMIT_LEASE_REQUESTS": "10"}])
async def test_every_part_tells_the_defects_of_its_container_g1(environ: dict[str, str]) -> None:
    """One that was forgotten would only log."""
    container = Container(settings=get_settings({"STREAM_ADAPTIVE_CONCURRENCY": "true", **environ}))
    defects, seen = container.defects(), set[int]()
    todo: list[object] = [provider() for provider in container.providers.values() if provider is not container.settings]
    told = 0
    while todo:
        one = todo.pop()
        if id(one) in seen or not type(one).__module__.startswith(("adapters", "domain", "ports")):
            continue
        seen.add(id(one))
        slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
        fields = {**getattr(one, "__dict__", {}), **{name: getattr(one, name, None) for name in slots}}
        for value in fields.values():
            assert value is not LOGGED_DEFECTS, type(one)
            told += value is defects
        todo += fields.values()
    assert told >= 10
