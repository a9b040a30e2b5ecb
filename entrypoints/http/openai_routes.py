"""The OpenAI door: chat completions and models."""

from fastapi import APIRouter, Request, Response

from domain import stages
from domain.delta import Dialect
from domain.model import Failed
from domain.services.streams import StreamService
from entrypoints.http.context import RequestContexts, read_body, thread_id
from entrypoints.http.edge import Edge
from entrypoints.http.headers import openai_limit_headers
from entrypoints.http.plain import PlainResponse
from entrypoints.http.sse import StreamResponse
from entrypoints.wire import json_text
from entrypoints.wire.openai import OpenAIEncoder, decode_chat, models_object
from entrypoints.wire.openai_plain import CompletionAssembler
from entrypoints.wire.written_answers import WrittenAnswers
from ports.refusals import Door


def openai_router(service: StreamService, contexts: RequestContexts, edge: Edge) -> APIRouter:
    """The routes, bound to the service."""
    router = APIRouter(tags=["OpenAI"])
    written = WrittenAnswers()

    @router.post("/v1/chat/completions", summary="A chat completion, streamed or plain")
    async def chat(request: Request) -> Response:
        context = contexts.call(request, Dialect.OPENAI, edge.openai_grace)
        thread = context.thread_id
        with edge.tracker.track_stage(stages.REQUEST_VALIDATION, "Decode the request", thread):
            call = decode_chat(await read_body(request))
        attachment = await service.open(call.request, context)

        def error(failed: Failed) -> Response:
            return edge.errors.response(failed, Door.CHAT, thread)

        headers = edge.headers(attachment, thread)
        headers["X-Request-ID"] = thread
        if attachment.verdict is not None:
            headers |= openai_limit_headers(attachment.verdict)
        if not call.stream:
            return PlainResponse(attachment, CompletionAssembler(attachment.info), headers, error)
        usage = "&include_usage=true" if call.include_usage else ""
        headers["Content-Location"] = f"/v1/streams/{attachment.info.stream_id}?dialect=openai{usage}"
        encoder = OpenAIEncoder(attachment.info, include_usage=call.include_usage, written=written)
        return StreamResponse(edge.streams, attachment, encoder, headers, error=error)

    @router.head("/v1/models", include_in_schema=False)
    @router.get("/v1/models", summary="The public model names")
    async def models(request: Request) -> Response:
        contexts.caller(request)
        body = json_text.dumps(models_object(service.models, edge.started_at))
        return Response(body, headers={"X-Request-ID": thread_id(request)}, media_type="application/json")

    return router
