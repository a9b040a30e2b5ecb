"""Jobs as JSON: how the queue and the dead letters hold them. JSON, because a prompt may hold half a surrogate pair."""

import json

import msgspec

from domain.jobs import Job
from domain.model import CacheStatus, CallContext, CompletionRequest, Message, StreamInfo

MAX_JOB_BYTES = 256 * 1024
"""A larger job stays with the process that its client is connected to."""


class UnreadableJobError(Exception):
    """Bytes that are no job of this version."""


def encode_job(job: Job) -> bytes:
    """The job in one piece; empty if it is too large to travel, or came in a body that was."""
    if job.request.size > MAX_JOB_BYTES:
        return b""
    info, context, request, *rest = msgspec.to_builtins(job)
    small = request[:-1]  # the size of a job that travels is of no use to anybody
    data = json.dumps([info, context, small, *rest], separators=(",", ":")).encode()
    return data if len(data) <= MAX_JOB_BYTES else b""


def decode_job(data: bytes) -> Job:
    """The other way round. Raises `UnreadableJobError`."""
    try:
        info, context, (model, messages, options), store_key, share_key, cache, reserved = json.loads(data)
        return Job(
            StreamInfo(*info),
            msgspec.convert(context, CallContext),
            CompletionRequest(model, [Message(*message) for message in messages], options),
            store_key,
            share_key,
            CacheStatus(cache),
            reserved,
        )
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise UnreadableJobError(type(error).__name__) from None  # its text may quote the prompt
