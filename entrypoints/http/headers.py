"""The headers that every answer with a stream behind it carries."""

from domain.model import Quota, Verdict
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
