"""Every error that Headgate raises, one module a family.

SSEBaseError
    ConfigurationError
    CacheError
        CacheConnectionError
    QueueError
        QueueFullError
        QueueTimeoutError
        DeliveryFailedError
    ProviderError
        ProviderTimeoutError
        ProviderConnectionError
        NoConnectionLeftError
        ProviderTruncatedError
        ProviderResponseError
        ProviderUnavailableError
        ProviderRateLimitedError
        ProviderAuthenticationError
        ProviderRequestError
            ProviderModelNotFoundError
    CircuitBreakerOpenError
    RateLimitError
        RateLimitExceededError
        RequestTooCostlyError
    StreamingError
        StreamNotFoundError
        StreamNotResumableError
        ReaderDefectError
        StreamLogFullError
        StreamLogUnavailableError
        ServerDrainingError
    RequestValidationError
        InvalidJsonError
        InvalidEncodingError
        JsonTooDeepError
        TooManyItemsError
        NumberOutOfRangeError
        InvalidTypeError
        MissingParameterError
        UnknownParameterError
        ForbiddenParameterError
        MisdirectedRequestError
        ForbiddenOriginError
        InvalidEventIdError
        InvalidHeaderError
        ModelNotFoundError
        RequestTooLargeError
        UnsupportedMediaTypeError
        UnsupportedEncodingError
        AuthenticationError
            MissingApiKeyError
            InvalidApiKeyError
    ExecutionTrackerError
        ExecutionNotFoundError
"""

from domain.errors.cache import CacheConnectionError, CacheError
from domain.errors.circuit_breaker import CircuitBreakerOpenError
from domain.errors.configuration import ConfigurationError
from domain.errors.execution_tracker import ExecutionNotFoundError, ExecutionTrackerError
from domain.errors.provider import (
    NoConnectionLeftError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderTruncatedError,
    ProviderUnavailableError,
)
from domain.errors.queue import DeliveryFailedError, QueueError, QueueFullError, QueueTimeoutError
from domain.errors.rate_limiting import RateLimitError, RateLimitExceededError, RequestTooCostlyError
from domain.errors.root import Scalar, SSEBaseError
from domain.errors.streaming import (
    ReaderDefectError,
    ServerDrainingError,
    StreamingError,
    StreamLogFullError,
    StreamLogUnavailableError,
    StreamNotFoundError,
    StreamNotResumableError,
)
from domain.errors.upstream_body import UpstreamErrorBody
from domain.errors.validation import (
    AuthenticationError,
    ForbiddenOriginError,
    ForbiddenParameterError,
    InvalidApiKeyError,
    InvalidEncodingError,
    InvalidEventIdError,
    InvalidHeaderError,
    InvalidJsonError,
    InvalidTypeError,
    JsonTooDeepError,
    MisdirectedRequestError,
    MissingApiKeyError,
    MissingParameterError,
    ModelNotFoundError,
    NumberOutOfRangeError,
    RequestTooLargeError,
    RequestValidationError,
    TooManyItemsError,
    UnknownParameterError,
    UnsupportedEncodingError,
    UnsupportedMediaTypeError,
)

__all__ = [
    "AuthenticationError",
    "CacheConnectionError",
    "CacheError",
    "CircuitBreakerOpenError",
    "ConfigurationError",
    "DeliveryFailedError",
    "ExecutionNotFoundError",
    "ExecutionTrackerError",
    "ForbiddenOriginError",
    "ForbiddenParameterError",
    "InvalidApiKeyError",
    "InvalidEncodingError",
    "InvalidEventIdError",
    "InvalidHeaderError",
    "InvalidJsonError",
    "InvalidTypeError",
    "JsonTooDeepError",
    "MisdirectedRequestError",
    "MissingApiKeyError",
    "MissingParameterError",
    "ModelNotFoundError",
    "NoConnectionLeftError",
    "NumberOutOfRangeError",
    "ProviderAuthenticationError",
    "ProviderConnectionError",
    "ProviderError",
    "ProviderModelNotFoundError",
    "ProviderRateLimitedError",
    "ProviderRequestError",
    "ProviderResponseError",
    "ProviderTimeoutError",
    "ProviderTruncatedError",
    "ProviderUnavailableError",
    "QueueError",
    "QueueFullError",
    "QueueTimeoutError",
    "RateLimitError",
    "RateLimitExceededError",
    "ReaderDefectError",
    "RequestTooCostlyError",
    "RequestTooLargeError",
    "RequestValidationError",
    "SSEBaseError",
    "Scalar",
    "ServerDrainingError",
    "StreamLogFullError",
    "StreamLogUnavailableError",
    "StreamNotFoundError",
    "StreamNotResumableError",
    "StreamingError",
    "TooManyItemsError",
    "UnknownParameterError",
    "UnsupportedEncodingError",
    "UnsupportedMediaTypeError",
    "UpstreamErrorBody",
]
