"""Where the time went: the stages of one request, and the statistics of all stages."""

from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from domain.services.execution_tracker import ExecutionTracker
from entrypoints.http.context import RequestContexts
from entrypoints.wire import json_text


def execution_router(tracker: ExecutionTracker, contexts: RequestContexts) -> APIRouter:
    """The routes, bound to the tracker. A thread shows itself to its own caller only."""
    router = APIRouter(tags=["Execution"])

    @router.head("/v1/threads/{thread_id}/execution", include_in_schema=False)
    @router.get("/v1/threads/{thread_id}/execution", summary="The stages of one request")
    async def execution(request: Request, thread_id: str) -> Response:
        summary = tracker.get_execution_summary(thread_id, contexts.caller(request).tenant)
        return Response(json_text.dumps(asdict(summary)), media_type="application/json")

    @router.head("/v1/stages", include_in_schema=False)
    @router.get("/v1/stages", summary="Durations of all stages, with percentiles")
    async def statistics(request: Request) -> Response:
        contexts.caller(request)
        rows = {one.stage: asdict(one) for one in tracker.get_stage_statistics()}
        return Response(json_text.dumps({"stages": rows}), media_type="application/json")

    return router
