"""A defect that blocks the event loop of a service: it is named, and the service is not ready (fault 42)."""

import asyncio
import time

import httpx
import pytest

from tests.adapters.test_logging import as_it_was, configured, lines
from tests.entrypoints.test_metrics_endpoint import scraped
from tests.service import running

pytestmark = pytest.mark.usefixtures(as_it_was.__name__)


async def defect(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - the defect


async def test_a_block_of_the_loop_is_named_counted_and_makes_it_unready_meanwhile() -> None:
    """Fault 42: an injected sleep. Who asks `/readyz` during it gets no answer before its end, and then no."""
    log = configured()
    async with running() as service:
        assert (await service.client.get("/readyz")).status_code == 200
        asking = asyncio.get_running_loop().run_in_executor(
            None, lambda: httpx.get(f"{service.url}/readyz", timeout=20)
        )
        await asyncio.create_task(defect(3.0), name="the culprit")
        answer = await asking
        assert (answer.status_code, answer.json()) == (503, {"status": "blocked"})
        assert (await service.client.get("/livez")).status_code == 200
        (told,) = [line for line in lines(log) if line["event"] == "the event loop is blocked"]
        assert (told["task"], told["coroutine"]) == ("the culprit", "defect")
        assert told["where"][0].startswith(f"{__name__}:")
        assert (await scraped(service))["headgate_event_loop_blocks"] == 1
        async with asyncio.timeout(5):
            while (await service.client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - it is told by nothing else
                await asyncio.sleep(0.05)
