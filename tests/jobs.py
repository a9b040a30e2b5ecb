"""Jobs and messages of the queue, for tests that care about a few of their fields."""

from domain.jobs import Job, QueueMessage
from domain.model import CallContext, Caller, CompletionRequest, Message, StreamInfo


def job(tenant: str, stream_id: str, prompt: str = "hi", thread_id: str = "t", tokens: int = 0) -> Job:
    """A job of this tenant."""
    return Job(
        StreamInfo(stream_id, "e1", "m", 1, thread_id),
        CallContext(thread_id, Caller(tenant)),
        CompletionRequest("m", [Message("user", prompt)]),
        reserved=tokens,
    )


def message(tenant: str, stream_id: str, cost: int = 1, weight: int = 1, limit: int = 10**6) -> QueueMessage:
    """A message that may wait for a minute."""
    return QueueMessage(job(tenant, stream_id), 60.0, cost, weight, limit)
