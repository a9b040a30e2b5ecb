"""The application: the container's services behind the doors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from adapters.observability.logging import configure_logging
from adapters.settings import get_settings
from container import Container
from domain.part import Part
from entrypoints.http.app import create_app
from entrypoints.http.context import RequestContexts
from entrypoints.http.edge import Edge
from entrypoints.http.errors import ErrorResponses
from entrypoints.http.keyless_access import AllowedHosts, KeylessAccess
from entrypoints.http.providers_routes import Operators, providers_router
from entrypoints.http.sse import OpenStreams
from entrypoints.lifecycle import running
from ports.defects import Where

NATIVE_GRACE = 30.0
HOLD_SECONDS = 10.0


def app() -> FastAPI:
    """A factory for any ASGI server: `uvicorn --factory entrypoints.main:app`.

    Without API keys it serves its own machine only, whatever the server is bound to, unless HEADGATE_ALLOW_ANONYMOUS
    says otherwise.
    """
    settings = get_settings()
    configure_logging(settings.logging.level, settings.logging.format)
    return build_app(Container(settings=settings))[0]


def build_app(container: Container, *, allow_anonymous: bool = False) -> tuple[FastAPI, OpenStreams]:
    """The application on this container, and the responses that are open in it. `allow_anonymous`: as the setting."""
    settings = container.settings()
    clock, sweeper = container.clock(), container.sweeper()
    streams = OpenStreams(
        clock,
        sweeper,
        heartbeat=settings.stream.heartbeat_interval,
        hold=HOLD_SECONDS,
        send_timeout=settings.stream.send_timeout,
    )
    grace = settings.stream.orphan_grace
    edge = Edge(
        streams,
        container.tracker(),
        ErrorResponses(container.refusals()),
        retention=int(settings.stream.retention),
        native_grace=NATIVE_GRACE if grace is None else grace,
        openai_grace=0.0 if grace is None else grace,
        started_at=int(clock.time()),
    )

    fleet, watchdog, defects = container.fleet(), container.watchdog(), container.defects()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with running(container):
            await container.key_refresh().refresh()
            refreshing = Part(container.key_refresh().run(), Where.KEY_REFRESH, defects)
            try:
                yield
            finally:
                await refreshing.aclose()  # before the client that it reads with

    anonymous_anywhere = allow_anonymous or settings.access.allow_anonymous
    hosts = AllowedHosts(settings.access.host_names, any_address=anonymous_anywhere)
    contexts = RequestContexts(
        container.callers(),
        container.tracker(),
        max_grace=settings.stream.max_grace,
        proxies=settings.access.proxies,
        anonymous_anywhere=anonymous_anywhere,
    )
    app = create_app(
        container.stream_service(),
        contexts,
        edge,
        lifespan,
        container.metrics(),
        (lambda: None) if fleet is None else (lambda: fleet.trouble),
        lambda: watchdog.blocked,
        lambda: defects.broken,
        providers_router(
            container.breakers(),
            contexts,
            Operators(settings.breaker.operator_tenants),
            container.llm_providers().keys(),
            settings.routed,
        ),
        KeylessAccess(container.callers(), hosts).refusal,
    )
    return app, streams
