"""Redaction's time grows with the text's length, whatever the text, and so does every pattern's (P1)."""

import re
import time
from collections.abc import Callable

import pytest

from adapters.observability import redaction_key_formats as formats
from adapters.observability.redaction import Redactor
from adapters.observability.redaction_text import LONGEST_TEXT
from tests.adapters.test_redaction_kinds import GROUPS


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


_TOO_SHORT_TO_TELL = 20_000  # ns
WORST = (
    "a",
    "@",
    "a@",
    "@a.",
    "+1",
    "4",
    "4 ",
    "1-",
    "012 ",
    "415-555-",
    "sk-",
    "eyJ",
    "eyJaaaaaaaaaaaa.",
    "ghp_",
    "key=",
    "token=",
    'password="',
    "&token=a",
    "?a=",
    "://a:",
    "bearer ",
    "('token', '",
    "-----BEGIN PRIVATE KEY-----",
    "%20",
    "\\n",
    "\\u0040",
    '"',
    "call me ",
    "phone: ",
    "123 456 ",
    "a@b.co password=x ",
    "01 ",
    "1.",
    "cookie: ",
    "+14155552671 ",
    "4111111111111111 ",
    "BE68 ",
    "DE89 3704 0044 0532 0130 00 ",
    "123-45-6789 ",
    "1 84 12 76 451 089 46 ",
    "AB123456C ",
    "ssn 1",
    "1 2 3 4 5 6 7 8 ",
    "\x1b[31m",
    "shpat_ lin_api_ NRAK- dp.pt. EAAA SK AC ",
)


@pytest.mark.parametrize("piece", WORST)
def test_time_grows_with_length(redactor: Redactor, piece: str) -> None:
    """P1: no text makes redaction slow; four times the text costs less than 2.5 x 2.5 times the time."""
    assert any(_ratio(redactor, piece) < 2.5**2 for _ in range(3))


@pytest.mark.parametrize("group", GROUPS)
def test_every_pattern_is_linear_p1(group: str) -> None:
    """P1: four times the text, built against the pattern, costs less than 2.5 x 2.5 times the time."""
    for literal, pattern in getattr(formats, group):
        search = re.compile(pattern)
        for tail in ("", "a", "A0", "0-", "a.", "f0" * 20 + " "):
            assert any(_growth(search, literal + tail) < 2.5**2 for _ in range(5)), (literal, tail)


@pytest.mark.parametrize("group", GROUPS)
def test_every_quantifier_is_bounded_p1(group: str) -> None:
    for _, pattern in getattr(formats, group):
        assert not re.search(r"(?<!\\)(?:\]|\))[*+]|\\[wsSdD][*+]|\{[0-9]*,\}", pattern), pattern


def _ratio(redactor: Redactor, piece: str) -> float:
    size = LONGEST_TEXT // 4  # so that markers longer than what they hide do not reach the cut, which is read again
    long = (piece * (size // len(piece) + 1))[:size]
    return _least_time(lambda: redactor.text(long)) / _least_time(lambda: redactor.text(long[: size // 4]))


def _growth(search: re.Pattern[str], piece: str) -> float:
    text = (piece * (LONGEST_TEXT // len(piece) + 1))[:LONGEST_TEXT]
    short = text[: LONGEST_TEXT // 4]
    return _least_time(lambda: search.findall(text)) / max(
        _least_time(lambda: search.findall(short)), _TOO_SHORT_TO_TELL
    )


def _least_time(run: Callable[[], object]) -> int:
    times = []
    for _ in range(4):
        start = time.process_time_ns()
        run()
        times.append(time.process_time_ns() - start)
    return max(min(times), 1)
