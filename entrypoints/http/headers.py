"""The headers that every answer with a stream behind it carries."""

from math import ceil
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
    states, policies, (requests, tokens) = [], [], (verdict.requests, verdict.tokens)
    if requests is not None:
        states.append(f'"requests";{_state(requests, verdict.retry_after)}')
        policies.append(f'"requests";q={requests.limit};w={requests.window}')
    if tokens is not None:
        states.append(f'"tokens";{_state(tokens, verdict.retry_after)}')
        policies.append(f'"tokens";q={tokens.limit};qu="tokens";w={tokens.window}')
    return {"RateLimit": ", ".join(states), "RateLimit-Policy": ", ".join(policies)} if states else {}


def openai_limit_headers(verdict: Verdict) -> dict[str, str]:
    """The same as OpenAI writes it; there a reset is when nothing is missing any more."""
    headers = {}
    for unit, quota in (("requests", verdict.requests), ("tokens", verdict.tokens)):
        if quota is not None:
            headers[f"x-ratelimit-limit-{unit}"] = str(quota.limit)
            headers[f"x-ratelimit-remaining-{unit}"] = str(quota.remaining)
            headers[f"x-ratelimit-reset-{unit}"] = _duration(quota.reset)
    return headers


def _state(quota: Quota, retry_after: int | None) -> str:
    """`t` is when the next unit is there: not said where there is none to come, nor, of a limit that is not the one
    that refuses, if that is after Retry-After, which must not be earlier than any `t`."""
    if quota.remaining >= quota.limit:
        return f"r={quota.remaining}"
    seconds = quota.reset - (quota.limit - quota.remaining - 1) * quota.window / quota.limit
    wait = max(1, ceil(round(seconds, 6)))  # the rest is what floating point adds
    if retry_after is not None and wait > retry_after:
        return f"r={quota.remaining}"
    return f"r={quota.remaining};t={wait}"


def _duration(seconds: float) -> str:
    """As Go writes it: `0s`, `120ms`, `7s`, `6m0s`, `1h0m0s`. Rounded up."""
    if 0 < seconds <= 0.999:
        return f"{ceil(round(seconds * 1000, 3))}ms"
    minutes, rest = divmod(ceil(round(seconds, 6)), 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"
