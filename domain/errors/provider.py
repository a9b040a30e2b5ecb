"""What a provider can do wrong. One class for each thing that routing or a client must tell apart."""

from domain.errors.root import SSEBaseError
from domain.errors.upstream_body import UpstreamErrorBody


class ProviderError(SSEBaseError):
    """An attempt on a provider failed."""

    code = "provider_error"
    retryable = True


class ProviderTimeoutError(ProviderError):
    """The provider was silent for longer than it may be: before its first event, or between two."""

    code = "provider_timeout"


class ProviderConnectionError(ProviderError):
    """The provider could not be reached, or reset the connection."""

    code = "provider_connection_error"


class NoConnectionLeftError(ProviderError):
    """This process has no file descriptor left for a connection: the provider was not asked, and is not to blame."""

    code = "no_connection_left"


class NoRoomLeftError(ProviderError):
    """This process has no memory left for so large an event: the provider is not to blame."""

    code = "no_room_left"


class ProviderTruncatedError(ProviderError):
    """The answer ended without a finish reason."""

    code = "upstream_truncated"


class ProviderResponseError(ProviderError):
    """The provider sent something that is not an answer: a broken frame, a foreign body, more than the bounds."""

    code = "provider_bad_response"


class ProviderAnswerTooLargeError(ProviderResponseError):
    """The answer is above its bound. Another try would be as long, and paid for again."""

    code = "provider_answer_too_large"
    retryable = False


class ProviderUnavailableError(ProviderError):
    """The provider answered 5xx, or an error object in its stream."""

    code = "provider_unavailable"


class ProviderRateLimitedError(ProviderError):
    """The provider answered 429."""

    code = "provider_rate_limited"


class ProviderAuthenticationError(ProviderError):
    """The provider refused Headgate's key: an operator has to mend it."""

    code = "provider_authentication"
    retryable = False


class ProviderRequestError(ProviderError):
    """The provider refused the request itself (4xx): another try would be refused as well.

    `told` is what the provider said about it, where that is for the caller (R9). It is no part of the message, the
    details or the `repr`, which are logged.
    """

    code = "provider_rejected_request"
    retryable = False
    told: UpstreamErrorBody | None = None


class ProviderModelNotFoundError(ProviderRequestError):
    """The provider does not know the model (404)."""

    code = "provider_model_not_found"
