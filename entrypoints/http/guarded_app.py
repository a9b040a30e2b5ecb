"""The application behind a guard that looks at every request before its route does, and before its body is read."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from domain.errors import SSEBaseError
from entrypoints.http.express import ExpressApp

Guard = Callable[[Scope], SSEBaseError | None]
Refuse = Callable[[Request, Exception], Awaitable[Response]]


class GuardedApp(ExpressApp):
    """Serves the requests for which `guard` has no error; of the others the handler of `SSEBaseError` makes the answer.
    `settings` are those of the framework."""

    def __init__(self, guard: Guard, **settings: Any) -> None:
        super().__init__(**settings)
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request, or refuses it."""
        error = self._guard(scope) if scope["type"] == "http" else None
        if error is None:
            await super().__call__(scope, receive, send)
            return
        refuse = cast("Refuse", self.exception_handlers[SSEBaseError])
        response = await refuse(Request(scope, receive, send), error)
        await response(scope, receive, send)
