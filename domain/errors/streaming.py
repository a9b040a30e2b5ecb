"""Streams and their log."""

from domain.errors.root import SSEBaseError


class StreamingError(SSEBaseError):
    """Something is wrong with a stream."""

    code = "streaming_error"


class StreamNotFoundError(StreamingError):
    """No such stream for this caller: it never was, or it is another's."""

    code = "not_found"


class StreamNotResumableError(StreamingError):
    """The stream was, and its log is gone: expired, evicted or lost."""

    code = "not_resumable"


class ReaderDefectError(StreamingError):
    """A reader's own callback raised: this reader has ended, and whoever it read for has to ask again. The defect was
    reported where it was found."""

    code = "reader_defect"
    retryable = True


class StreamLogFullError(StreamingError):
    """The log is at its bound and nothing in it may be dropped now."""

    code = "stream_log_full"
    retryable = True


class AnswerTooLongError(StreamLogFullError):
    """The answer is longer than a stream may be, however much room there is. Another try would be as long."""

    code = "answer_too_long"
    retryable = False


class StreamLogUnavailableError(StreamingError):
    """The log cannot be reached now, and this replica does not have the stream itself."""

    code = "stream_log_unavailable"
    retryable = True


class ServerDrainingError(StreamingError):
    """The process is shutting down: new work is refused, open streams are told to go elsewhere."""

    code = "server_draining"
    retryable = True
