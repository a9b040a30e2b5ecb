"""The native door: start a stream, follow or resume one, cancel one."""

import random
from collections.abc import Callable, Mapping
from functools import partial

from fastapi import APIRouter, Request, Response

from domain import stages
from domain.delta import Dialect
from domain.errors import (
    InvalidEventIdError,
    RequestValidationError,
    StreamLogUnavailableError,
    StreamNotResumableError,
)
from domain.model import Failed, Position, StreamInfo
from domain.services.generations import failed
from domain.services.streams import StreamService
from entrypoints.http.context import RequestContexts, headers_of, read_body, thread_id
from entrypoints.http.edge import Edge
from entrypoints.http.headers import target_header
from entrypoints.http.sse import RETRY_MS, Encoder, StreamResponse, stock_headers
from entrypoints.wire import json_text
from entrypoints.wire.native import (
    GONE_EPOCH,
    NativeEncoder,
    decode_stream,
    not_resumable_block,
    reset_block,
    retry_block,
)
from entrypoints.wire.openai import OpenAIEncoder
from ports.refusals import Door


def native_router(service: StreamService, contexts: RequestContexts, edge: Edge) -> APIRouter:
    """The routes, bound to the service."""
    router = APIRouter(tags=["Streams"])

    @router.post("/v1/streams", summary="Start a stream")
    async def start(request: Request) -> Response:
        context = contexts.call(request, Dialect.NATIVE, edge.native_grace)
        thread = context.thread_id
        default_model = service.models[0] if service.models else None
        with edge.tracker.track_stage(stages.REQUEST_VALIDATION, "Decode the request", thread):
            asked = decode_stream(await read_body(request), default_model)
        attachment = await service.open(asked, context)
        headers = edge.headers(attachment, thread)
        location = f"/v1/streams/{attachment.info.stream_id}"
        if _wants_async(request):
            attachment.release()
            body = json_text.dumps({"stream_id": attachment.info.stream_id, "location": location})
            headers |= {"Location": location, "Preference-Applied": "respond-async"}
            return Response(body, 202, headers, "application/json")

        def error(failure: Failed) -> Response:
            return edge.errors.response(failure, Door.NATIVE, thread)

        headers["Content-Location"] = location
        return StreamResponse(edge.streams, attachment, NativeEncoder(attachment.info), headers, error=error)

    @router.head("/v1/streams/{stream_id}", include_in_schema=False)
    @router.get("/v1/streams/{stream_id}", summary="Follow or resume a stream")
    async def follow(request: Request, stream_id: str) -> Response:
        caller, thread = contexts.caller(request), thread_id(request)
        position, encoder, reads = _position(request), _encoder(request), request.method != "HEAD"
        try:
            attachment = await service.attach(stream_id, caller, position, reads=reads)
        except StreamNotResumableError as gone:
            # An EventSource that comes back after it was told must be stopped, and only 204 stops it (S4, S5).
            if position is not None and position.epoch == GONE_EPOCH:
                return Response(status_code=204)
            return Response(
                not_resumable_block(failed(gone)),
                headers={"X-Thread-ID": thread, "Cache-Control": "no-store"},
                media_type=NativeEncoder.media_type,
            )
        except StreamLogUnavailableError:
            # Any other status than 200 would stop an EventSource for good (S9).
            return Response(
                retry_block(random.randint(*RETRY_MS)),  # noqa: S311 - jitter
                headers={"X-Thread-ID": thread, "Cache-Control": "no-store"},
                media_type=NativeEncoder.media_type,
            )
        if attachment.reader.ended:
            attachment.close()
            return Response(status_code=204)
        headers = edge.headers(attachment, thread)
        if not reads:
            attachment.close()
            return _head(headers | target_header(attachment, None), NativeEncoder.media_type)
        preamble = reset_block() if attachment.reader.reset else b""
        return StreamResponse(edge.streams, attachment, encoder(attachment.info), headers, preamble=preamble)

    @router.delete("/v1/streams/{stream_id}", status_code=204, summary="Cancel a stream; idempotent")
    async def cancel(request: Request, stream_id: str) -> Response:
        await service.cancel(stream_id, contexts.caller(request))
        return Response(status_code=204, headers={"X-Thread-ID": thread_id(request)})

    return router


def _wants_async(request: Request) -> bool:
    preferences = headers_of(request).get("prefer", "").lower().split(",")
    return any(preference.partition(";")[0].strip() == "respond-async" for preference in preferences)


def _position(request: Request) -> Position | None:
    """Where the client stopped: the header wins over the query (S3). Raises `InvalidEventIdError`."""
    text = headers_of(request).get("last-event-id") or request.query_params.get("last_event_id")
    if not text:
        return None
    position = Position.parse(text)
    if position is None:
        raise InvalidEventIdError("This is not an id of an event.", details={"param": "Last-Event-ID"})
    return position


def _encoder(request: Request) -> Callable[[StreamInfo], Encoder]:
    """What makes the encoder that is asked for. Raises `RequestValidationError`."""
    dialect = request.query_params.get("dialect", Dialect.NATIVE)
    if dialect == Dialect.NATIVE:
        return NativeEncoder
    if dialect == Dialect.OPENAI:
        return partial(OpenAIEncoder, include_usage=request.query_params.get("include_usage") == "true")
    raise RequestValidationError.at("dialect", "Must be `native` or `openai`.")


def _head(headers: Mapping[str, str], media_type: str) -> Response:
    """The head that a stream's response would have."""
    response = Response()
    own = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    response.raw_headers = own + stock_headers(media_type)  # no length: that of a stream is not known
    return response
