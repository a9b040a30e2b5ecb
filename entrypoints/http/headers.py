"""The headers that every answer with a stream behind it carries."""

from urllib.parse import quote

from domain.events import Answer
from domain.model import Batch, Complete, Quota, Verdict
from domain.services.execution_tracker import ExecutionTracker
from domain.services.streams import Attachment


def stream_headers(attachment: Attachment, tracker: ExecutionTracker, thread_id: str, retention: int) -> dict[str, str]:
    """Who it is, where it came from, how long it is kept, and how the caller's limits stand."""
    headers = {
        "X-Thread-ID": thread_id,
        "X-Stream-ID": attachment.info.stream_id,
        "X-Cache": str(attachment.cache),
        "X-Stream-Retention": str(retention),
    }
    timing = tracker.server_timing(thread_id)
    if timing:
        headers["Server-Timing"] = timing
    if attachment.verdict is not None:
        headers |= limit_headers(attachment.verdict)
    return headers


def target_header(attachment: Attachment, batch: Batch | None) -> dict[str, str]:
    """`X-Target`, if it is known who answers: with the first event, or of an answer that is there as a whole (R7)."""
    target = attachment.target
    if target is None and batch is not None and isinstance(batch.events, Answer):
        last = batch.events.kinds[-1]
        target = last.target if isinstance(last, Complete) else None
    return {} if target is None else {"X-Target": target_value(target)}


def target_value(target: str) -> str:
    """The name of a target as a header has it: a caller may write what it likes behind `provider/`."""
    return target if target.isascii() and target.isprintable() else quote(target)


def limit_headers(verdict: Verdict) -> dict[str, str]:
    """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)."""
    quotas = [(name, quota) for name, quota in (("requests", verdict.requests), ("tokens", verdict.tokens)) if quota]
    if not quotas:
        return {}
    return {
        "RateLimit": ", ".join([_state(name, quota) for name, quota in quotas]),
        "RateLimit-Policy": ", ".join([f'"{name}";q={quota.limit};w={quota.window}' for name, quota in quotas]),
    }


def _state(name: str, quota: Quota) -> str:
    return f'"{name}";r={quota.remaining};t={-int(-quota.reset // 1)}'
