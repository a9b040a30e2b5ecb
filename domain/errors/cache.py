"""The cache failed: never fatal for a request."""

from domain.errors.root import SSEBaseError


class CacheError(SSEBaseError):
    """The cache could not answer; the request goes on without it."""

    code = "cache_error"
    retryable = True


class CacheConnectionError(CacheError):
    """The cache's backend could not be reached, or was too slow."""

    code = "cache_connection_error"
