"""The FastAPI application, put together from services that are given to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import chain

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from domain.errors import SSEBaseError
from domain.services.streams import StreamService
from entrypoints.http.context import RequestContexts
from entrypoints.http.edge import Edge
from entrypoints.http.exception_answers import ExceptionAnswers
from entrypoints.http.execution_routes import execution_router
from entrypoints.http.guarded_app import Guard, GuardedApp
from entrypoints.http.health import health_router
from entrypoints.http.methods import AllowedMethods
from entrypoints.http.metrics_routes import metrics_router
from entrypoints.http.native_routes import native_router
from entrypoints.http.openai_routes import openai_router


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
    guard: Guard,
) -> FastAPI:
    """The application. `lifespan` runs what has to run beside it; `metrics` gives a scrape's body and content type;
    `trouble` says in a word why the service is degraded, if it is; `blocked`, whether its event loop was held up just
    now; `broken`, which part of it has a defect; `providers` shows how the targets stand; `guard` looks at each request
    before all else."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan():
            yield

    openai, native = openai_router(service, contexts, edge), native_router(service, contexts, edge)
    routers = [
        openai,
        native,
        execution_router(edge.tracker, contexts),
        providers,
        health_router(service, trouble, blocked, broken),
        metrics_router(metrics),
    ]
    app = GuardedApp(
        guard,
        title="Headgate",
        summary="The streaming front door of LLM products.",
        lifespan=running,
        redirect_slashes=False,
    )
    answers = ExceptionAnswers(edge.errors, AllowedMethods(chain(app.routes, *(router.routes for router in routers))))
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(SSEBaseError, answers.error)
    app.add_exception_handler(HTTPException, answers.http_error)
    app.add_exception_handler(ClientDisconnect, answers.nobody)
    app.add_exception_handler(Exception, answers.defect)
    app.shorten(openai, "/v1/chat/completions")
    app.shorten(native, "/v1/streams")
    return app
