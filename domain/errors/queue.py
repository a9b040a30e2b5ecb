"""The waiting line in front of the slots."""

from domain.errors.root import SSEBaseError


class QueueError(SSEBaseError):
    """The queue could not serve the request."""

    code = "queue_error"
    retryable = True


class QueueFullError(QueueError):
    """The queue is at its bound, in all or for this caller; nothing was done for the request."""

    code = "queue_full"


class QueueTimeoutError(QueueError):
    """The request waited longer than it may for a slot."""

    code = "queue_timeout"


class DeliveryFailedError(QueueError):
    """The request was begun as often as it may be, and each time the process died before it had answered anything."""

    code = "failed"
    retryable = False
