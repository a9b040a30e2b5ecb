"""Jobs as JSON: how the queue and the dead letters hold them. JSON, because a prompt may hold half a surrogate pair."""

import json
from typing import Any

import msgspec

from domain.jobs import Job
from domain.model import CacheStatus, CallContext, CompletionRequest, Message, StreamInfo

MAX_JOB_BYTES = 256 * 1024
"""A larger job stays with the process that its client is connected to."""


class UnreadableJobError(Exception):
    """Bytes that are no job of this version."""


def encode_job(job: Job) -> bytes:
    """The job in one piece; empty if it is too large to travel."""
    data = json.dumps(msgspec.to_builtins(job), separators=(",", ":")).encode()
    return data if len(data) <= MAX_JOB_BYTES else b""


def decode_job(data: bytes) -> Job:
    """The other way round. Raises `UnreadableJobError`."""
    try:
        row: dict[str, Any] = json.loads(data)
        request = row["request"]
        messages = [Message(one["role"], one["content"], one["extra"]) for one in request["messages"]]
        return Job(
            StreamInfo(*row["info"]),
            msgspec.convert(row["context"], CallContext),
            CompletionRequest(request["model"], messages, request["options"]),
            row["store_key"],
            row["share_key"],
            CacheStatus(row["cache"]),
            row["reserved"],
        )
    except (ValueError, TypeError, KeyError, msgspec.MsgspecError) as error:
        raise UnreadableJobError(type(error).__name__) from None  # its text may quote the prompt
