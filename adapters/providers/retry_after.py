"""How long a provider asks to be left alone: `retry-after-ms`, else `Retry-After`."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 3600.0
"""Seconds; who asks for more is asked again after so many."""
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,12})?|\.[0-9]{1,12}")
"""No exponents and no more digits: that would be no time that anybody meant."""
_PARTS = (("retry-after-ms", 1000), ("retry-after", 1))
"""Each header, and how many of its units are a second."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, or None if neither header says any. Milliseconds, which OpenAI's clients know too, are the more exact.

    Each is a number or an HTTP date, which counts against the provider's own clock (RFC 9110, section 10.2.3). What is
    neither, e.g. a negative number, is as if it were not there.
    """
    for name, parts in _PARTS:
        seconds = _seconds(headers.get(name, "").strip(), parts, headers)
        if seconds is not None:
            return min(seconds, MAX_RETRY_AFTER)
    return None


def _seconds(value: str, parts: int, headers: Mapping[str, str]) -> float | None:
    if _NUMBER.fullmatch(value):
        return float(value) / parts
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return max((until - now).total_seconds(), 0.0)


def _date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)  # an HTTP date is always GMT
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
