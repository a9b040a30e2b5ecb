"""Stage identifiers of a request, {SEQUENCE}_{DESCRIPTIVE_NAME}: what logs, the tracker and Server-Timing call them."""

from contextvars import ContextVar
from typing import Final

THREAD_ID: ContextVar[str | None] = ContextVar("headgate_thread_id", default=None)
"""The request that this task or OS thread works for; every log line carries it."""
CURRENT_STAGE: ContextVar[str | None] = ContextVar("headgate_current_stage", default=None)
"""The tracked stage that is open in this task or OS thread."""

INITIALIZATION: Final = "0.0_INITIALIZATION"
REQUEST_VALIDATION: Final = "1.0_REQUEST_VALIDATION"
CACHE_LOOKUP: Final = "2.0_CACHE_LOOKUP"
L1_CACHE_LOOKUP: Final = "2.1_L1_CACHE_LOOKUP"
L2_CACHE_LOOKUP: Final = "2.2_L2_CACHE_LOOKUP"
RATE_LIMITING: Final = "3.0_RATE_LIMITING"
PROVIDER_SELECTION: Final = "4.0_PROVIDER_SELECTION"
LLM_STREAMING: Final = "5.0_LLM_STREAMING"
CLEANUP: Final = "6.0_CLEANUP"
