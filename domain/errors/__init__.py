"""Every error that Headgate raises, one module a family.

SSEBaseError
    ConfigurationError
    CacheError
        CacheConnectionError
    QueueError
        QueueFullError
        QueueTimeoutError
    ProviderError
        ProviderTimeoutError
        ProviderConnectionError
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
        StreamLogFullError
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
        InvalidEventIdError
        InvalidHeaderError
        ModelNotFoundError
        RequestTooLargeError
        UnsupportedMediaTypeError
        UnsupportedEncodingError
    ExecutionTrackerError
        ExecutionNotFoundError
"""

from domain.errors.cache import CacheConnectionError, CacheError
from domain.errors.circuit_breaker import CircuitBreakerOpenError
from domain.errors.configuration import ConfigurationError
from domain.errors.execution_tracker import ExecutionNotFoundError, ExecutionTrackerError
from domain.errors.provider import (
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
from domain.errors.queue import QueueError, QueueFullError, QueueTimeoutError
from domain.errors.rate_limiting import RateLimitError, RateLimitExceededError, RequestTooCostlyError
from domain.errors.root import Scalar, SSEBaseError
from domain.errors.streaming import (
    ServerDrainingError,
    StreamingError,
    StreamLogFullError,
    StreamNotFoundError,
    StreamNotResumableError,
)
from domain.errors.validation import (
    ForbiddenParameterError,
    InvalidEncodingError,
    InvalidEventIdError,
    InvalidHeaderError,
    InvalidJsonError,
    InvalidTypeError,
    JsonTooDeepError,
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
    "CacheConnectionError",
    "CacheError",
    "CircuitBreakerOpenError",
    "ConfigurationError",
    "ExecutionNotFoundError",
    "ExecutionTrackerError",
    "ForbiddenParameterError",
    "InvalidEncodingError",
    "InvalidEventIdError",
    "InvalidHeaderError",
    "InvalidJsonError",
    "InvalidTypeError",
    "JsonTooDeepError",
    "MissingParameterError",
    "ModelNotFoundError",
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
    "RequestTooCostlyError",
    "RequestTooLargeError",
    "RequestValidationError",
    "SSEBaseError",
    "Scalar",
    "ServerDrainingError",
    "StreamLogFullError",
    "StreamNotFoundError",
    "StreamNotResumableError",
    "StreamingError",
    "TooManyItemsError",
    "UnknownParameterError",
    "UnsupportedEncodingError",
    "UnsupportedMediaTypeError",
]
