"""Requests that cannot be understood. No message and no detail ever repeats the bad value."""

from domain.errors.root import SSEBaseError


class RequestValidationError(SSEBaseError):
    """The request is wrong; `details["param"]` names where."""

    code = "invalid_request"

    @classmethod
    def at(cls, param: str, message: str) -> "RequestValidationError":
        """An error that points at one parameter, as a dotted path."""
        return cls(message, details={"param": param})


class InvalidJsonError(RequestValidationError):
    """The body is not one JSON object."""

    code = "invalid_json"


class InvalidEncodingError(RequestValidationError):
    """The body is not UTF-8, or a text in it is not a sequence of characters."""

    code = "invalid_encoding"


class JsonTooDeepError(RequestValidationError):
    """The body nests deeper than the bound."""

    code = "json_too_deep"


class TooManyItemsError(RequestValidationError):
    """A list is longer than its bound."""

    code = "too_many_items"


class NumberOutOfRangeError(RequestValidationError):
    """A number is not finite, or outside what the parameter takes."""

    code = "number_out_of_range"


class InvalidTypeError(RequestValidationError):
    """A value has the wrong type."""

    code = "invalid_type"


class MissingParameterError(RequestValidationError):
    """A required parameter is absent."""

    code = "missing_parameter"


class UnknownParameterError(RequestValidationError):
    """A parameter that the native door does not know."""

    code = "unknown_parameter"


class ForbiddenParameterError(RequestValidationError):
    """A parameter by which a caller would choose an upstream address or key."""

    code = "forbidden_parameter"


class InvalidEventIdError(RequestValidationError):
    """A `Last-Event-ID` that Headgate never gave out."""

    code = "invalid_event_id"


class InvalidHeaderError(RequestValidationError):
    """A request header with a value it does not take."""

    code = "invalid_header"


class ModelNotFoundError(RequestValidationError):
    """No route and no provider by that name; the same text whether or not it exists for others."""

    code = "model_not_found"


class RequestTooLargeError(RequestValidationError):
    """The body is over the limit."""

    code = "request_too_large"


class UnsupportedMediaTypeError(RequestValidationError):
    """The body is not declared as JSON."""

    code = "unsupported_media_type"


class UnsupportedEncodingError(RequestValidationError):
    """The body has a Content-Encoding."""

    code = "unsupported_encoding"


class MisdirectedRequestError(RequestValidationError):
    """The request names a host that is not this service's."""

    code = "misdirected_request"


class ForbiddenOriginError(RequestValidationError):
    """A web page of another origin asked for a change."""

    code = "forbidden_origin"


class AuthenticationError(RequestValidationError):
    """No caller could be made of what was presented."""

    code = "authentication_error"


class MissingApiKeyError(AuthenticationError):
    """Keys are configured and the request carries none."""

    code = "missing_api_key"


class InvalidApiKeyError(AuthenticationError):
    """The key is not one of ours: unknown, malformed or revoked, all alike."""

    code = "invalid_api_key"
