"""Records of requests, for the tests of what becomes of them."""

from domain.delta import Dialect, Usage
from domain.model import GAP_BOUNDS, CacheStatus, Outcome, RequestRecord

GAPS = tuple(range(len(GAP_BOUNDS) + 1))
"""Bucket i of GAP_BOUNDS was hit i times."""
SERVED = RequestRecord(
    thread_id="t_1",
    stream_id="s_1",
    tenant="acme-tenant",
    door=Dialect.OPENAI,
    model="fast",
    target="local/llama-3",
    outcome=Outcome.SERVED,
    code=None,
    cache=CacheStatus.MISS,
    attempts=1,
    usage=Usage(12, 34),
    first_event_seconds=0.3,
    total_seconds=2.0,
    gaps=GAPS,
)
HIT = SERVED._replace(
    target=None,
    cache=CacheStatus.HIT_L1,
    attempts=0,
    usage=None,
    first_event_seconds=None,
    total_seconds=0.0008,
    gaps=(),
)
REFUSED = HIT._replace(
    outcome=Outcome.REJECTED_RATE, code="rate_limit_exceeded", cache=CacheStatus.MISS, door=Dialect.NATIVE
)
FAILED = SERVED._replace(
    outcome=Outcome.FAILED,
    code="provider_timeout",
    attempts=3,
    usage=None,
    first_event_seconds=None,
    gaps=(),
    failures=(
        ("local/llama-3", "provider_unavailable"),
        ("local/unheard-of", "provider_unavailable"),
        ("local/llama-3", "provider_timeout"),
    ),
)
CANCELLED = SERVED._replace(outcome=Outcome.CANCELLED, gaps=(0,) * len(GAPS))
