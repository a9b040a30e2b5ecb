"""Liveness and readiness."""

from collections.abc import Callable

from fastapi import APIRouter, Response

from domain.services.streams import StreamService
from entrypoints.wire import json_text


def health_router(
    service: StreamService,
    trouble: Callable[[], str | None],
    blocked: Callable[[], bool],
    broken: Callable[[], str | None],
) -> APIRouter:
    """`/livez`: the process answers. `/readyz`: it takes new work, degraded while `trouble` has something to say; not
    while it drains, nor just after the event loop was `blocked`, nor if a part of it is `broken`: nobody would look
    after the work, and the process is about to end itself (G8)."""
    router = APIRouter(tags=["Health"])

    @router.head("/livez", include_in_schema=False)
    @router.get("/livez", summary="Is the process alive")
    async def live() -> Response:
        return Response('{"status":"ok"}', media_type="application/json")

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz", summary="Does it take new work")
    async def ready() -> Response:
        # First of all: it is looked at in nothing but itself, and it is why the process drains.
        if (part := broken()) is not None:
            return Response(json_text.dumps({"status": "broken", "part": part}), 503, media_type="application/json")
        if service.draining:
            return Response('{"status":"draining"}', 503, media_type="application/json")
        if blocked():
            return Response('{"status":"blocked"}', 503, media_type="application/json")
        reason = trouble()
        body = {"status": "ready"} if reason is None else {"status": "degraded", "redis": reason}
        return Response(json_text.dumps(body), media_type="application/json")

    return router
