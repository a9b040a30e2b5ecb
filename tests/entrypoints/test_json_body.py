"""Bodies: every bad input of BAD_INPUT 1-2, 7, 9-14 by its own error, and nothing of the body in any of them (P4)."""

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import (
    InvalidEncodingError,
    InvalidJsonError,
    JsonTooDeepError,
    NumberOutOfRangeError,
    RequestValidationError,
)
from entrypoints.wire import json_body
from entrypoints.wire.parameters import LIST_BOUNDS

CASES: list[tuple[str, bytes, type[RequestValidationError], str | None]] = [
    ("not JSON", b"hello", InvalidJsonError, None),
    ("trailing bytes", b'{"a":1} x', InvalidJsonError, None),
    ("cut", b'{"a":', InvalidJsonError, None),
    ("empty", b"", InvalidJsonError, None),
    ("white space", b" \n", InvalidJsonError, None),
    ("a list", b"[1]", InvalidJsonError, None),
    ("a raw control character", b'{"a":"\x01"}', InvalidJsonError, None),
    ("65 levels", b'{"a":' * 65 + b"1" + b"}" * 65, JsonTooDeepError, None),
    ("65 lists", b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", JsonTooDeepError, None),
    ("100,000 levels", b"[" * 100_000, JsonTooDeepError, None),
    ("NaN", b'{"temperature":NaN}', NumberOutOfRangeError, "temperature"),
    ("Infinity", b'{"a":[1,{"top_p":-Infinity}]}', NumberOutOfRangeError, "a.1.top_p"),
    ("1e999", b'{"temperature":1e999}', NumberOutOfRangeError, "temperature"),
    ("5,000 digits", b'{"seed":' + b"9" * 5000 + b"}", NumberOutOfRangeError, "seed"),
    ("invalid UTF-8", b'{"a":"\xff"}', InvalidEncodingError, None),
    ("UTF-16", '{"a":1}'.encode("utf-16"), InvalidEncodingError, None),
    ("UTF-16 without a mark", '{"a":1}'.encode("utf-16-le"), InvalidEncodingError, None),
    ("BOM", b'\xef\xbb\xbf{"a":1}', InvalidEncodingError, None),
    ("lone surrogate", b'{"messages":[{"content":"\\ud800"}]}', InvalidEncodingError, "messages.0.content"),
    ("lone low surrogate", b'{"a":"\\udc00x"}', InvalidEncodingError, "a"),
    ("surrogate in a name", b'{"\\ud800":1}', InvalidEncodingError, ""),
    ("a name that is a secret", b'{"sk-live secret":NaN}', NumberOutOfRangeError, "?"),
]


def decode_object(body: bytes) -> dict[str, Any]:
    return asyncio.run(json_body.decode_object(body, LIST_BOUNDS))


@pytest.mark.parametrize(("body", "error", "param"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_bodies_have_names_p4(body: bytes, error: type[RequestValidationError], param: str | None) -> None:
    with pytest.raises(RequestValidationError) as caught:
        decode_object(body)
    assert type(caught.value) is error
    assert caught.value.details.get("param") == param
    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_64_levels_pass() -> None:
    assert decode_object(b'{"a":' * 64 + b"1" + b"}" * 64)


def test_the_last_of_duplicate_names_wins() -> None:
    assert decode_object(b'{"a":1,"a":2}') == {"a": 2}


def test_nul_and_control_characters_pass_as_escapes() -> None:
    assert decode_object(b'{"a":"\\u0000\\u0007"}') == {"a": "\0\a"}


@given(st.binary(max_size=200))
def test_any_bytes_give_an_object_or_one_of_our_errors_p4(body: bytes) -> None:
    try:
        assert isinstance(decode_object(body), dict)
    except RequestValidationError as error:
        assert error.__cause__ is None


def test_diagnosis_is_linear_p4() -> None:
    """A megabyte of each worst kind; the bound is a hundred times what it takes, to catch what is not linear."""
    for body in (b'{"a":[' + b"1," * 400_000 + b"NaN]}", b'{"a":' + b"9" * 1_000_000 + b"}", b"[" * 1_000_000):
        started = time.process_time()
        with pytest.raises(RequestValidationError):
            decode_object(body)
        assert time.process_time() - started < 20
