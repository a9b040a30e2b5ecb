"""Many who ask for the metrics at once: nobody needs a key for that."""

import asyncio
import threading
from collections.abc import Callable

import httpx
from fastapi import FastAPI

from entrypoints.http.metrics_routes import metrics_router
from tests.service import until


async def test_scrapes_that_came_before_one_began_share_it_g4_g6() -> None:
    """And one that came later gets a new one: nobody sees what was true before it asked."""
    begun: list[int] = []
    release = threading.Semaphore(0)

    def metrics() -> tuple[bytes, str]:
        begun.append(len(begun) + 1)
        number = len(begun)
        assert release.acquire(timeout=10)
        return b"%d" % number, "text/plain"

    async with client_of(metrics) as client:
        first = asyncio.create_task(client.get("/metrics"))
        await until(lambda: begun == [1])
        rest = [asyncio.create_task(client.get("/metrics")) for _ in range(50)]
        await asyncio.sleep(0.05)
        release.release(2)
        assert (await first).text == "1"
        assert {(await one).text for one in rest} == {"2"}
        release.release()
        assert (await client.get("/metrics")).text == "3"


async def test_a_scrape_that_failed_is_not_shared_g4_g6() -> None:
    attempts: list[int] = []

    def metrics() -> tuple[bytes, str]:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("a collector's defect")
        return b"whole", "text/plain"

    async with client_of(metrics) as client:
        first, second = await asyncio.gather(*(client.get("/metrics") for _ in range(2)), return_exceptions=True)
        assert isinstance(first, ValueError)
        assert isinstance(second, httpx.Response)
        assert second.text == "whole"


def client_of(metrics: Callable[[], tuple[bytes, str]]) -> httpx.AsyncClient:
    """A client of nothing but this route."""
    app = FastAPI()
    app.include_router(metrics_router(metrics))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headgate")
