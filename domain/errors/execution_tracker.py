"""The execution tracker."""

from domain.errors.root import SSEBaseError


class ExecutionTrackerError(SSEBaseError):
    """The tracker was used wrongly."""

    code = "execution_tracker_error"


class ExecutionNotFoundError(ExecutionTrackerError):
    """No record of that thread: it was not sampled, or is no longer kept."""

    code = "execution_not_found"
