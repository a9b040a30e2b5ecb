"""The metrics, for whoever scrapes them."""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool


def metrics_router(metrics: Callable[[], tuple[bytes, str]]) -> APIRouter:
    """`/metrics`: what `metrics` gives, a body and its content type.

    It is made in a thread, so that streams go on: some thousand series take tens of milliseconds. One at a time, and
    all who came before it was begun get the same: nobody needs a key for it, and many threads take the event loop its
    turns away.
    """
    router = APIRouter(tags=["Health"])
    one_at_a_time = asyncio.Lock()
    begun = 0
    made: tuple[bytes, str] | None = None

    @router.head("/metrics", include_in_schema=False)
    @router.get("/metrics", summary="Metrics in Prometheus' text format")
    async def scrape() -> Response:
        nonlocal begun, made
        begun_before = begun
        async with one_at_a_time:
            if made is None or begun == begun_before:
                begun, made = begun + 1, None
                made = await run_in_threadpool(metrics)
            body, content_type = made
        return Response(body, media_type=content_type)

    return router
