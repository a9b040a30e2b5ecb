"""Errors as HTTP: one table from class to status, and the error body of each door."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from starlette.responses import Response

from domain import errors
from domain.delta import Dialect
from domain.errors import SSEBaseError
from domain.model import Failed, JsonObject
from entrypoints.http.doors import DIALECTS
from entrypoints.wire import json_text
from entrypoints.wire.native import problem, provider_members, said
from entrypoints.wire.openai import failure_object
from ports.refusals import Door, Refusals


class Row(NamedTuple):
    """What a class of errors is at the edge. `kind` is OpenAI's `type`."""

    status: int
    kind: str


INVALID, UPSTREAM, OURS = "invalid_request_error", "upstream_error", "api_error"

# Permanent errors never use 408, 409, 429 or 5xx: the official clients retry those.
TABLE: dict[type[SSEBaseError], Row] = {
    errors.SSEBaseError: Row(500, OURS),
    errors.ConfigurationError: Row(500, OURS),
    errors.CacheError: Row(503, OURS),
    errors.CacheConnectionError: Row(503, OURS),
    errors.QueueError: Row(503, OURS),
    errors.QueueFullError: Row(503, "overloaded_error"),
    errors.QueueTimeoutError: Row(503, "overloaded_error"),
    errors.DeliveryFailedError: Row(500, OURS),
    errors.ProviderError: Row(502, UPSTREAM),
    errors.ProviderTimeoutError: Row(504, UPSTREAM),
    errors.ProviderConnectionError: Row(502, UPSTREAM),
    errors.NoConnectionLeftError: Row(503, "overloaded_error"),
    errors.NoRoomLeftError: Row(503, "overloaded_error"),
    errors.ProviderTruncatedError: Row(502, UPSTREAM),
    errors.ProviderResponseError: Row(502, UPSTREAM),
    errors.ProviderAnswerTooLargeError: Row(502, UPSTREAM),
    errors.ProviderUnavailableError: Row(502, UPSTREAM),
    errors.ProviderRateLimitedError: Row(429, "rate_limit_error"),
    errors.ProviderAuthenticationError: Row(502, UPSTREAM),
    errors.ProviderRequestError: Row(400, INVALID),
    errors.ProviderModelNotFoundError: Row(404, INVALID),
    errors.CircuitBreakerOpenError: Row(503, "overloaded_error"),
    errors.RateLimitError: Row(400, "rate_limit_error"),
    errors.RateLimitExceededError: Row(429, "rate_limit_error"),
    errors.RequestTooCostlyError: Row(400, INVALID),
    errors.StreamingError: Row(500, OURS),
    errors.StreamNotFoundError: Row(404, INVALID),
    errors.StreamNotResumableError: Row(410, INVALID),
    errors.ReaderDefectError: Row(500, OURS),
    errors.StreamLogFullError: Row(503, "overloaded_error"),
    errors.AnswerTooLongError: Row(502, UPSTREAM),
    errors.StreamLogUnavailableError: Row(503, "overloaded_error"),
    errors.ServerDrainingError: Row(503, "overloaded_error"),
    errors.RequestValidationError: Row(400, INVALID),
    errors.InvalidJsonError: Row(400, INVALID),
    errors.InvalidEncodingError: Row(400, INVALID),
    errors.JsonTooDeepError: Row(400, INVALID),
    errors.TooManyItemsError: Row(400, INVALID),
    errors.TooManyValuesError: Row(400, INVALID),
    errors.NumberOutOfRangeError: Row(400, INVALID),
    errors.InvalidTypeError: Row(400, INVALID),
    errors.MissingParameterError: Row(400, INVALID),
    errors.UnknownParameterError: Row(400, INVALID),
    errors.ForbiddenParameterError: Row(400, INVALID),
    errors.InvalidEventIdError: Row(400, INVALID),
    errors.InvalidHeaderError: Row(400, INVALID),
    errors.ModelNotFoundError: Row(404, INVALID),
    errors.RequestTooLargeError: Row(413, INVALID),
    errors.UnsupportedMediaTypeError: Row(415, INVALID),
    errors.UnsupportedEncodingError: Row(415, INVALID),
    errors.MisdirectedRequestError: Row(421, INVALID),
    errors.ForbiddenOriginError: Row(403, "permission_error"),
    errors.AuthenticationError: Row(401, "authentication_error"),
    errors.MissingApiKeyError: Row(401, "authentication_error"),
    errors.InvalidApiKeyError: Row(401, "authentication_error"),
    errors.BodyMemoryFullError: Row(503, "overloaded_error"),
    errors.ExecutionTrackerError: Row(500, OURS),
    errors.ExecutionNotFoundError: Row(404, INVALID),
}


def family(root: type[SSEBaseError]) -> Iterator[type[SSEBaseError]]:
    """`root` and all classes below it."""
    yield root
    for child in root.__subclasses__():
        yield from family(child)


BY_CODE: dict[str, Row] = {cls.code: row for cls, row in TABLE.items()}


class ErrorResponses:
    """Makes the answers to requests that failed before their stream began, and tells `refusals` of each (G9)."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    def response(
        self,
        failed: Failed,
        door: Door,
        thread_id: str,
        more: Mapping[str, str] = MappingProxyType({}),
        *,
        status: int | None = None,
    ) -> Response:
        """The answer in the dialect of the door, with `more` headers.

        `status` is for errors that have no class of ours and no row: what the framework itself refuses.
        """
        row = BY_CODE.get(failed.code, TABLE[SSEBaseError]) if status is None else Row(status, INVALID)
        if failed.told is not None:
            row = Row(failed.told.status, INVALID)
        self._refusals.refuse(door, failed.code, row.status)
        headers = {**_headers(failed, row, thread_id), **more}
        if DIALECTS[door] is Dialect.OPENAI:
            headers["X-Request-ID"] = thread_id
            body = json_text.dumps(failure_object(failed, row.kind))
            return Response(body, row.status, headers, "application/json")
        extra: JsonObject = {"retryable": failed.retryable, "thread_id": thread_id}
        if failed.param is not None:
            extra["param"] = failed.param
        extra |= provider_members(failed)
        text = problem(row.status, failed.code, HTTPStatus(row.status).phrase, said(failed), extra)
        return Response(text, row.status, headers, "application/problem+json")


def _headers(failed: Failed, row: Row, thread_id: str) -> dict[str, str]:
    headers = {"X-Thread-ID": thread_id, "X-Should-Retry": "true" if failed.retryable else "false"}
    if failed.retry_after is not None:
        headers["Retry-After"] = str(max(1, -int(-failed.retry_after // 1)))
    if row.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if row.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        headers["Connection"] = "close"
    return headers
