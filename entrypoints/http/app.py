"""The FastAPI application, put together from services that are given to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from domain.delta import Dialect
from domain.errors import RateLimitError, RequestValidationError, SSEBaseError
from domain.model import Failed
from domain.services.generations import failed
from domain.services.refusals import refusal
from domain.services.streams import StreamService
from entrypoints.http.context import RequestContexts, thread_id
from entrypoints.http.doors import DIALECTS, door_of
from entrypoints.http.edge import Edge
from entrypoints.http.errors import ErrorResponses
from entrypoints.http.execution_routes import execution_router
from entrypoints.http.express import ExpressApp
from entrypoints.http.headers import limit_headers, openai_limit_headers
from entrypoints.http.health import health_router
from entrypoints.http.metrics_routes import metrics_router
from entrypoints.http.native_routes import native_router
from entrypoints.http.openai_routes import openai_router

Answer = Callable[[Request, Exception], Awaitable[Response]]
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(
    service: StreamService,
    contexts: RequestContexts,
    edge: Edge,
    lifespan: Callable[[], AbstractAsyncContextManager[None]],
    metrics: Callable[[], tuple[bytes, str]],
    trouble: Callable[[], str | None],
    blocked: Callable[[], bool],
    broken: Callable[[], str | None],
    providers: APIRouter,
) -> FastAPI:
    """The application. `lifespan` runs what has to run beside it; `metrics` gives a scrape's body and content type;
    `trouble` says in a word why the service is degraded, if it is; `blocked`, whether its event loop was held up just
    now; `broken`, which part of it has a defect; `providers` shows how the targets stand."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan():
            yield

    app = ExpressApp(
        title="Headgate",
        summary="The streaming front door of LLM products.",
        lifespan=running,
        redirect_slashes=False,
    )
    openai, native = openai_router(service, contexts, edge), native_router(service, contexts, edge)
    app.include_router(openai)
    app.include_router(native)
    app.include_router(execution_router(edge.tracker, contexts))
    app.include_router(providers)
    app.include_router(health_router(service, trouble, blocked, broken))
    app.include_router(metrics_router(metrics))
    for kind, answer in _answers(edge.errors).items():
        app.add_exception_handler(kind, answer)
    app.shorten(openai, "/v1/chat/completions")
    app.shorten(native, "/v1/streams")
    return app


def _answers(errors: ErrorResponses) -> dict[type[Exception], Answer]:
    """What becomes of each kind of exception that a route raises."""

    async def answer_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, SSEBaseError):
            raise error
        door, more = door_of(request.scope["path"]), {}
        if isinstance(error, RateLimitError):
            verdict = refusal(error.details)
            more = limit_headers(verdict)
            if DIALECTS[door] is Dialect.OPENAI:
                more |= openai_limit_headers(verdict)
        return errors.response(failed(error), door, thread_id(request), more)

    async def answer_http_error(request: Request, error: Exception) -> Response:
        """What Starlette itself refuses: no such path, no such method."""
        if not isinstance(error, HTTPException):
            raise error
        code = _HTTP_CODES.get(error.status_code, RequestValidationError.code)
        failure = Failed(code, str(error.detail), retryable=False)
        door, more = door_of(request.scope["path"]), error.headers or {}
        return errors.response(failure, door, thread_id(request), more, status=error.status_code)

    async def answer_nobody(_request: Request, _error: Exception) -> Response:
        """The client left while it was sending: whatever is answered, nobody reads it."""
        return Response(status_code=499)

    async def answer_defect(request: Request, _error: Exception) -> Response:
        """A defect of ours. Starlette raises it again for the log; the caller learns nothing of it."""
        failure = Failed(SSEBaseError.code, "Something went wrong on our side.", retryable=True)
        return errors.response(failure, door_of(request.scope["path"]), thread_id(request))

    return {
        SSEBaseError: answer_error,
        HTTPException: answer_http_error,
        ClientDisconnect: answer_nobody,
        Exception: answer_defect,
    }
