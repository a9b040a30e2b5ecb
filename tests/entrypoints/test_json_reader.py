"""The reader of large bodies: it understands what Python's own parser does, counts each value, and never holds the loop
for long, whatever the shape (G6)."""

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import (
    InvalidEncodingError,
    InvalidJsonError,
    JsonTooDeepError,
    NumberOutOfRangeError,
    RequestValidationError,
    TooManyItemsError,
    TooManyValuesError,
)
from entrypoints.wire import json_body, json_reader
from entrypoints.wire.json_reader import MAX_VALUES, JsonReader
from entrypoints.wire.parameters import LIST_BOUNDS

LARGEST = 16 << 20
LONGEST_STEP = 0.05
"""Seconds of CPU, on the machine that promised it; the slower this one is, the more."""
USUAL = 0.012
"""Seconds that the calibration took there."""

texts = st.text(alphabet=st.one_of(st.sampled_from('[]{},:"\\\\\n\ud83d\u2028😀é漢\0'), st.characters(codec="utf-8")))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda children: st.lists(children, max_size=5) | st.dictionaries(texts, children, max_size=5),
    max_leaves=20,
)


def read(body: bytes) -> JsonReader:
    reader = JsonReader(body, LIST_BOUNDS)
    for _ in reader.steps():
        pass
    return reader


def refusal(body: bytes) -> RequestValidationError:
    with pytest.raises(RequestValidationError) as caught:
        read(body)
    return caught.value


def count(value: object) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, children))


def has_half(value: object) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    children = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(has_half, children))


@given(values, st.booleans(), st.sampled_from([None, 1, "\t", "\r\n "]))
def test_any_json_is_read_as_it_is_and_each_value_is_counted_g6(value: object, plain: bool, indent: Any) -> None:
    text = json.dumps(value, ensure_ascii=plain or has_half(value), indent=indent)
    if has_half(value):
        assert isinstance(refusal(text.encode()), InvalidEncodingError)
        return
    reader = read(text.encode())
    assert reader.value == json.loads(text)
    assert reader.values == count(value)


@given(values, st.integers(1, 40), st.integers(1, 40))
def test_a_text_can_be_cut_anywhere_g6(value: object, first: int, step: int) -> None:
    """Whatever the pieces are that long texts are read in."""
    body = json.dumps({"a": value, "b": '\\"😀é\n\ud83d\ude00' * 9}).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_reader, "FIRST_BYTES", 12 + first)
        patch.setattr(json_reader, "STEP_BYTES", 60 + step)
        if has_half(value):
            assert isinstance(refusal(body), InvalidEncodingError)
        else:
            assert read(body).value == json.loads(body)


@given(st.binary(max_size=60) | st.text('[]{},:"\\u0d8e1 -.+Ntrue', max_size=60).map(str.encode))
def test_any_bytes_are_understood_or_refused_as_by_the_usual_decoder_p4(body: bytes) -> None:
    try:
        expected = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        refusal(body)
    else:
        assert read(body).value == expected


def prompt(text: bytes) -> bytes:
    return b'{"model":"demo/fast","messages":[{"role":"user","content":"%b"}]}' % text[: LARGEST - 200]


def filled(piece: bytes, spare: int = 200) -> bytes:
    return piece * ((LARGEST - spare) // len(piece))


LEGAL: dict[str, Callable[[], bytes]] = {
    "ascii": lambda: prompt(filled(b"a")),
    "what looks like JSON": lambda: prompt(filled(b',[{\\"\\\\')),
    "quotes": lambda: prompt(filled(b'\\"')),
    "backslashes": lambda: prompt(filled(b"\\\\")),
    "line ends": lambda: prompt(filled(b"\\n")),
    "escapes": lambda: prompt(filled(b"\\u0041")),
    "pairs of escapes": lambda: prompt(filled(b"\\ud83d\\ude00")),
    "two bytes": lambda: prompt(filled("é".encode())),
    "three bytes": lambda: prompt(filled("漢".encode())),
    "four bytes": lambda: prompt(filled("😀".encode())),
    "50,000 values": lambda: b'{"x":[%b[]]}' % (b"[]," * (MAX_VALUES - 3)),
    "white space": lambda: b'{"model":"m"%b}' % filled(b" \n\t\r"),
    "a long name": lambda: b'{"%b":1}' % filled(b"n"),
    "many texts": lambda: b'{"x":[%b""]}' % filled(b'"%b",' % (b"\\n" * 200)),
    "floats": lambda: b'{"x":[%b1]}' % (b"2.2250738585072011e-308," * 49_000),
}
BAD: dict[str, tuple[Callable[[], bytes], type[RequestValidationError], str | None]] = {
    "messages": (
        lambda: b'{"messages":[%b{}]}' % (b'{"role":"user","content":"x"},' * 400_000),
        TooManyItemsError,
        "messages",
    ),
    "tools": (lambda: b'{"tools":[%b{}],"y":1}' % (b"{}," * 4_000_000), TooManyItemsError, "tools"),
    "messages, then values": (
        lambda: b'{"messages":[%b{}],"x":[%b1]}' % (b"{}," * 1_000, b"1," * 50_000),
        TooManyItemsError,
        "messages",
    ),
    "empty lists": (lambda: b'{"x":[%b[]]}' % (b"[]," * 4_000_000), TooManyValuesError, None),
    "parts": (lambda: b'{"messages":[{"content":[%b{}]}]}' % (b'{"type":"text"},' * 400_000), TooManyValuesError, None),
    "a schema": (
        lambda: b'{"tools":[{"x":{%b"z":1}}]}' % b"".join(b'"%d":{},' % n for n in range(500_000)),
        TooManyValuesError,
        None,
    ),
    "one more value": (lambda: b'{"x":[%b[]]}' % (b"[]," * (MAX_VALUES - 2)), TooManyValuesError, None),
    "1e999 behind numbers": (lambda: b'{"x":[%b1e999]}' % (b"1," * 4_000_000), TooManyValuesError, None),
    "short names": (lambda: b"{%b}" % filled(b'"a":1,'), TooManyValuesError, None),
    "NaN at the end": (lambda: b'{"s":"%b","a":[1,NaN]}' % filled(b"a"), NumberOutOfRangeError, "a.1"),
    "digits": (lambda: b'{"a":%b}' % filled(b"9"), NumberOutOfRangeError, "a"),
    "a fraction": (lambda: b'{"a":0.%b}' % filled(b"9"), NumberOutOfRangeError, "a"),
    "long integers": (lambda: b'{"a":[%b1]}' % filled(b"%b," % (b"9" * 4_000)), NumberOutOfRangeError, "a.0"),
    "a surrogate": (
        lambda: prompt(b"a" * 15_000_000 + b"\\ud800" + b"a" * 1_000_000),
        InvalidEncodingError,
        "messages.0.content",
    ),
    "no UTF-8": (lambda: prompt(b"a" * 16_000_000 + b"\xff"), InvalidEncodingError, None),
    "UTF-16": (lambda: prompt(b"a" * 8_000_000).decode().encode("utf-16"), InvalidEncodingError, None),
    "a mark": (lambda: b"\xef\xbb\xbf" + prompt(filled(b"a")), InvalidEncodingError, None),
    "brackets": (lambda: b"[" * LARGEST, JsonTooDeepError, None),
    "objects": (lambda: filled(b'{"a":'), JsonTooDeepError, None),
    "spaces": (lambda: b" " * LARGEST, InvalidJsonError, None),
    "an open text": (lambda: prompt(filled(b"\\n"))[:-10], InvalidJsonError, None),
    "an escape that is none": (lambda: prompt(b"a" * 15_000_000 + b"\\x"), InvalidJsonError, None),
    "something behind it": (lambda: prompt(b"a" * 15_000_000) + b"x", InvalidJsonError, None),
}


@pytest.fixture(scope="module")
def slowness() -> float:
    """How much slower this machine is now than the one that promised it; at least 1."""
    data = b'"%b"' % (b"a" * LARGEST)
    started = time.thread_time()
    for _ in range(3):
        msgspec.json.decode(data)
    return max(1.0, (time.thread_time() - started) / 3 / USUAL)


def longest_step(body: bytes) -> tuple[float, object]:
    """Seconds of CPU of the longest step, and what came of the body: an object, or the error."""
    work = json_body.decode_object(body, LIST_BOUNDS)
    longest = 0.0
    while True:
        started = time.thread_time()
        try:
            work.send(None)
        except StopIteration as done:
            return max(longest, time.thread_time() - started), done.value
        except RequestValidationError as error:
            return max(longest, time.thread_time() - started), error
        longest = max(longest, time.thread_time() - started)


@pytest.mark.parametrize("name", LEGAL)
def test_legal_bodies_of_16_mib_pass_in_short_steps_g6(name: str, slowness: float) -> None:
    body = LEGAL[name]()
    seconds, value = longest_step(body)
    assert value == json.loads(body)
    assert seconds <= LONGEST_STEP * slowness


@pytest.mark.parametrize("name", BAD)
def test_bad_bodies_of_16_mib_are_refused_in_short_steps_p4_g6(name: str, slowness: float) -> None:
    make, error, param = BAD[name]
    seconds, refused = longest_step(make())
    assert type(refused) is error
    assert isinstance(refused, RequestValidationError)
    assert refused.details.get("param") == param
    assert seconds <= LONGEST_STEP * slowness
