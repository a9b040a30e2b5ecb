"""What becomes of each kind of exception that a route raises."""

from http import HTTPStatus

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from domain.delta import Dialect
from domain.errors import RateLimitError, RequestValidationError, SSEBaseError
from domain.model import Failed
from domain.services.generations import failed
from domain.services.refusals import refusal
from entrypoints.http.context import thread_id
from entrypoints.http.doors import DIALECTS, door_of
from entrypoints.http.errors import ErrorResponses
from entrypoints.http.headers import limit_headers, openai_limit_headers
from entrypoints.http.methods import OPTIONS, AllowedMethods

_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


class ExceptionAnswers:
    """The application's exception handlers. `methods` knows what each path takes."""

    def __init__(self, errors: ErrorResponses, methods: AllowedMethods) -> None:
        self._errors = errors
        self._methods = methods

    async def error(self, request: Request, error: Exception) -> Response:
        """One of our own errors."""
        if not isinstance(error, SSEBaseError):
            raise error
        door, more = door_of(request.scope["path"]), {}
        if isinstance(error, RateLimitError):
            verdict = refusal(error.details)
            more = limit_headers(verdict)
            if DIALECTS[door] is Dialect.OPENAI:
                more |= openai_limit_headers(verdict)
        return self._errors.response(failed(error), door, thread_id(request), more)

    async def http_error(self, request: Request, error: Exception) -> Response:
        """What Starlette itself refuses: no such path, no such method. OPTIONS is told which methods there are, and
        grants nothing: without `Access-Control-Allow-Origin` no page of another origin may ask (T3)."""
        if not isinstance(error, HTTPException):
            raise error
        path, more = request.scope["path"], dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            more = {"Allow": self._methods.of(path)}
            if request.method == OPTIONS:
                return Response(status_code=204, headers={"X-Thread-ID": thread_id(request), **more})
        code = _HTTP_CODES.get(error.status_code, RequestValidationError.code)
        failure = Failed(code, str(error.detail), retryable=False)
        return self._errors.response(failure, door_of(path), thread_id(request), more, status=error.status_code)

    async def nobody(self, _request: Request, _error: Exception) -> Response:
        """The client left while it was sending: whatever is answered, nobody reads it."""
        return Response(status_code=499)

    async def defect(self, request: Request, _error: Exception) -> Response:
        """A defect of ours. Starlette raises it again for the log; the caller learns nothing of it."""
        failure = Failed(SSEBaseError.code, "Something went wrong on our side.", retryable=True)
        return self._errors.response(failure, door_of(request.scope["path"]), thread_id(request))
