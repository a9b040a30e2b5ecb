"""Request bodies on their way in."""

from domain.errors.root import SSEBaseError


class BodyMemoryFullError(SSEBaseError):
    """The bodies that are being read fill what memory they may, in all or of this caller."""

    code = "overloaded"
    retryable = True
