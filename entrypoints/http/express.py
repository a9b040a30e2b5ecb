"""A way past the framework for the routes that carry the load: the same endpoints, found by one look-up.

FastAPI's layers cost a tenth of a burst's CPU: nested applications, an exit stack for dependencies that nobody has,
routes tried one after the other, and a wrapper around each `send`.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import cast

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.errors import SSEBaseError
from entrypoints.http.context import HEADERS
from entrypoints.http.server.exchange import DIRECT, Exchange

Endpoint = Callable[[Request], Awaitable[Response]]
Answer = Callable[[Request, Exception], Awaitable[Response]]


class ExpressApp(FastAPI):
    """A FastAPI application that serves some POST routes by itself, once `shorten` has named them."""

    _endpoints: Mapping[str, Endpoint] = MappingProxyType({})

    def shorten(self, router: APIRouter, path: str) -> None:
        """From now on this route is served without the layers. Its endpoint takes the request and nothing else."""
        (endpoint,) = [
            route.endpoint
            for route in router.routes
            if isinstance(route, APIRoute) and (route.path, route.methods) == (path, {"POST"})
        ]
        self._endpoints = {**self._endpoints, path: endpoint}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        endpoint = self._endpoints.get(scope.get("path", "")) if scope.get("method") == "POST" else None
        if endpoint is None:
            await super().__call__(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except Exception as error:
            response = await self._answer(error)(request, error)
            await _respond(response, scope, receive, send)
            if Exception is self._kind(error):
                raise  # for the server's log
            return
        scope.pop(HEADERS, None)  # not read any more, while the answer may take minutes
        try:
            await _respond(response, scope, receive, send)
        except SSEBaseError as error:  # before its first byte: later there is none to be raised
            response = await self._answer(error)(request, error)
            await _respond(response, scope, receive, send)

    def _kind(self, error: Exception) -> type[Exception]:
        return next(kind for kind in type(error).__mro__ if kind in self.exception_handlers)

    def _answer(self, error: Exception) -> Answer:
        return cast("Answer", self.exception_handlers[self._kind(error)])


async def _respond(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """In one write, as far as it is there at once: a response that has to wait uncorks."""
    direct: Exchange | None = scope.get("extensions", {}).get(DIRECT)
    if direct is None:
        await response(scope, receive, send)
        return
    if type(response) is Response and direct.respond(response.status_code, response.raw_headers, bytes(response.body)):
        return
    direct.cork()
    try:
        await response(scope, receive, send)
    finally:
        direct.uncork()
