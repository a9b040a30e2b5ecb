"""Errors that come with the status 200: in a frame of a stream, or in a whole body, in whatever shape.

Told by codes and types, never by text, and no text is kept (P1).
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Fields = Mapping[str, Any]

NONE: Fields = MappingProxyType({})
CODES = ("code", "error_code", "errorCode", "err_code", "status_code", "statusCode", "http_code", "status")
"""Members that hold a code, as a number or as a word."""
TYPES = ("type", "error_type", "errorType", "status")
TEXTS = ("message", "msg", "error_message", "error_msg", "errorMessage", "errorMsg", "err_msg", "detail", "errors")
"""Members that are in no chunk, and in most errors."""
SUCCESS = frozenset({"0", "00000", "200", "20000", "ok", "success", "succeeded"})
PING_WORDS = frozenset({"", "ping", "[ping]", "keepalive", "keep-alive", "heartbeat", "[heartbeat]"})

STATUS_OF_WORD: Mapping[str, int] = MappingProxyType(
    {
        "insufficient_quota": 429,
        "rate_limit_exceeded": 429,
        "rate_limit_error": 429,
        "rate_limit": 429,
        "too_many_requests": 429,
        "resource_exhausted": 429,
        "throttling": 429,
        "invalid_api_key": 401,
        "authentication_error": 401,
        "unauthenticated": 401,
        "unauthorized": 401,
        "billing_error": 402,
        "arrearage": 402,
        "permission_error": 403,
        "permission_denied": 403,
        "access_denied": 403,
        "forbidden": 403,
        "model_not_found": 404,
        "not_found_error": 404,
        "not_found": 404,
        "conflict_error": 409,
        "request_too_large": 413,
        "unprocessable_entity": 422,
        "validation_error": 422,
        "context_length_exceeded": 400,
        "content_filter": 400,
        "content_policy_violation": 400,
        "data_inspection_failed": 400,
        "invalid_request_error": 400,
        "invalid_request": 400,
        "invalid_argument": 400,
        "invalid_parameter": 400,
        "failed_precondition": 400,
        "out_of_range": 400,
        "bad_request": 400,
        "api_error": 500,
        "internal_server_error": 500,
        "service_unavailable": 503,
        "timeout_error": 504,
        "deadline_exceeded": 504,
        "overloaded_error": 529,
    }
)
"""The status that a code or a type would have come with: OpenAI's, Anthropic's, Google's, Alibaba's, vLLM's."""
_STATUS_OF_SPELLING = {
    spelling: status
    for word, status in STATUS_OF_WORD.items()
    for spelling in (word.replace("_", ""), word.replace("_", "").removesuffix("error") + "error")
}
"""The same without case and separators: vLLM says `BadRequestError`, Alibaba `Throttling.RateQuota`."""

MINIMAX: Mapping[str, int] = MappingProxyType(
    {
        "1001": 408,
        "1002": 429,
        "1004": 401,
        "1008": 402,
        "1026": 400,
        "1027": 400,
        "1039": 429,
        "1041": 429,
        "1042": 400,
        "1043": 400,
        "1044": 400,
        "2013": 400,
        "2045": 429,
        "2049": 401,
        "2056": 429,
        "2061": 403,
    }
)
"""`base_resp.status_code` (platform.minimax.io/docs/api-reference/errorcode); every other is a 500."""
CLOUDFLARE: Mapping[str, int] = MappingProxyType(
    {
        "3003": 400,
        "3006": 413,
        "3007": 408,
        "3008": 408,
        "3023": 403,
        "3036": 429,
        "3039": 400,
        "3040": 429,
        "3041": 403,
        "3042": 404,
        "5004": 400,
        "5005": 405,
        "5007": 400,
        "5016": 403,
        "5018": 403,
        "5019": 405,
        "7000": 404,
        "7003": 404,
        "10000": 401,
    }
)
"""The code of the first of `errors` (developers.cloudflare.com/workers-ai/platform/errors)."""
_STATUS = re.compile(r"([45][0-9]{2})(?:[0-9]{2})?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,63}")
_SEPARATORS = re.compile(r"[^a-z0-9]")


def told_error(frame: object) -> Fields | None:
    """What an error says that a frame, or a whole answer, is; None if it is no error.

    `error` is one wherever it stands, and so is a `base_resp` of MiniMax that tells of no success. Everything else is
    a sign in a frame without `choices` alone.
    """
    if isinstance(frame, list):
        return next((told for one in frame[:1] if (told := told_error(one)) is not None), None)
    if not isinstance(frame, dict):
        return None
    error, base = frame.get("error"), frame.get("base_resp")
    if error:
        return _joined(frame, error)
    if isinstance(base, dict) and not _succeeded(base.get("status_code")):
        code, text = base.get("status_code"), base.get("status_msg")
        return {"code": code, "status": MINIMAX.get(str(code), 500), "message": text}
    return None if frame.get("choices") else _bare_error(frame)


def _bare_error(frame: Fields) -> Fields | None:
    """An error whose fields are the frame's own."""
    if any(_succeeded(frame[name]) for name in ("code", "error_code") if frame.get(name) is not None):
        return None
    if frame.get("success") is False:
        first = _first(frame.get("errors"))
        status = CLOUDFLARE.get(str(first.get("code")))
        return {**frame, **first} if status is None else {**first, "status": status}
    kind = frame.get("type")
    marked = (
        frame.get("object") == "error"
        or (isinstance(kind, str) and kind.lower().endswith(("error", "exception")))
        or any(frame.get(name) for name in CODES[:4] + TYPES[1:3])
        or any(_is_status(frame.get(name)) for name in CODES[4:])
        or any(frame.get(name) for name in TEXTS if not isinstance(frame.get(name), dict) or name == "detail")
    )
    if not marked:
        return None
    detail = frame.get("detail")
    if isinstance(detail, list):  # as FastAPI tells of a body that it refuses
        return {**frame, "status": 422}
    if isinstance(detail, dict):
        return {**frame, **(told_error(detail) or detail)}
    return {**frame, **_first(frame.get("errors"))}


def _joined(frame: Fields, error: object) -> Fields:
    """The fields of an error, and those beside it that it has not."""
    beside = {name: frame[name] for name in (*CODES, *TYPES, "param") if frame.get(name) not in (None, "", "error")}
    if isinstance(error, list):
        error = _first(error)
    if isinstance(error, dict):
        return {**beside, **{name: value for name, value in error.items() if value is not None}}
    if status_of(error) is not None:
        return {"code": error, **beside}
    return {"message": error, **beside} if isinstance(error, str) else beside


def status_in(fields: Fields) -> int:
    """The HTTP status that an error stands for: a code, then a type; 500 if neither says anything."""
    for name in (*CODES, *TYPES):
        status = status_of(fields.get(name))
        if status is not None:
            return status
    return 500


def status_of(value: object) -> int | None:
    """The status that a code or a type stands for: a number from 400 to 599, also with two digits of its own behind
    it, or a word of the table."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    match = _STATUS.fullmatch(text)
    if match is not None:
        return int(match[1])
    if _WORD.fullmatch(text) is None:  # a text, which may say anything
        return None
    word = text.lower()
    family = word.partition(".")[0]
    return next((found for one in (word, family) if (found := _STATUS_OF_SPELLING.get(_SEPARATORS.sub("", one)))), None)


def _succeeded(code: object) -> bool:
    return code is None or code is True or str(code).lower() in SUCCESS


def _is_status(value: object) -> bool:
    return status_of(value) is not None or (isinstance(value, str) and value.lower() in {"error", "failed", "failure"})


def _first(value: object) -> Fields:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else NONE


def says_nothing(frame: object) -> bool:
    """Whether a frame that is no error is no part of an answer either: a sign of life."""
    return frame in (None, {}) or (isinstance(frame, str) and frame.strip().lower() in PING_WORDS)
