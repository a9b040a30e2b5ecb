"""Liveness and readiness."""

from fastapi import APIRouter, Response

from domain.services.streams import StreamService


def health_router(service: StreamService) -> APIRouter:
    """`/livez`: the process answers. `/readyz`: it takes new work."""
    router = APIRouter(tags=["Health"])

    @router.get("/livez", summary="Is the process alive")
    async def live() -> Response:
        return Response('{"status":"ok"}', media_type="application/json")

    @router.get("/readyz", summary="Does it take new work")
    async def ready() -> Response:
        if service.draining:
            return Response('{"status":"draining"}', 503, media_type="application/json")
        return Response('{"status":"ready"}', media_type="application/json")

    return router
