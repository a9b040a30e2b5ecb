"""The metrics, for whoever scrapes them."""

from collections.abc import Callable

from fastapi import APIRouter, Response


def metrics_router(metrics: Callable[[], tuple[bytes, str]]) -> APIRouter:
    """`/metrics`: what `metrics` gives, a body and its content type."""
    router = APIRouter(tags=["Health"])

    # Not async, so that it runs in a thread: some thousand series take tens of milliseconds, and streams go on.
    @router.head("/metrics", include_in_schema=False)
    @router.get("/metrics", summary="Metrics in Prometheus' text format")
    def scrape() -> Response:
        body, content_type = metrics()
        return Response(body, media_type=content_type)

    return router
