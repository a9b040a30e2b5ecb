"""The parser of event streams against the EventSource standard's cases (S15)."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.answer_bounds import FREE_BYTES, AnswerBounds, EventRoom
from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import MAX_LINE_BYTES, EventStreamParser
from domain.errors import NoRoomLeftError, ProviderAnswerTooLargeError, ProviderResponseError
from tests.adapters.fed import fed
from tests.event_source import EventSourceClient

ATTEMPT = Attempt("local", "thread-1")
Events = list[tuple[str, bytes]]

CASES: list[tuple[str, bytes, Events]] = [
    ("one line", b"data: a\n\n", [("message", b"a")]),
    ("two blocks", b"data: a\n\ndata: b\n\n", [("message", b"a"), ("message", b"b")]),
    ("CR", b"data: a\r\rdata: b\r\r", [("message", b"a"), ("message", b"b")]),
    ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", [("message", b"a"), ("message", b"b")]),
    ("CRLF then LF", b"data: a\r\n\ndata: b\n\r\n", [("message", b"a"), ("message", b"b")]),
    ("LF then CR", b"data: a\n\rdata: b\r\n\r", [("message", b"a"), ("message", b"b")]),
    ("CR then CRLF", b"data: a\r\r\ndata: b\n\n", [("message", b"a"), ("message", b"b")]),
    ("LF LF LF", b"data: a\n\n\ndata: b\n\n\n\n", [("message", b"a"), ("message", b"b")]),
    ("several data lines", b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", b"YHOO\n+2\n10")]),
    ("several data lines, CR", b"data: YHOO\rdata: +2\r\r", [("message", b"YHOO\n+2")]),
    ("comment", b": hello\n\ndata: a\n\n", [("message", b"a")]),
    ("comment inside", b"data: a\n: hello\ndata: b\n\n", [("message", b"a\nb")]),
    ("comment before", b":\ndata: a\n\n", [("message", b"a")]),
    ("no space", b"data:a\n\n", [("message", b"a")]),
    ("one space is dropped, two are not", b"data:  a\n\n", [("message", b" a")]),
    ("tab stays", b"data:\ta\n\n", [("message", b"\ta")]),
    ("colon in the data", b"data: a: b\n\n", [("message", b"a: b")]),
    ("empty data", b"data\n\ndata:\n\ndata: \n\n", [("message", b"")] * 3),
    ("two empty data lines", b"data\ndata\n\n", [("message", b"\n")]),
    ("unfinished block", b"data: a\n\ndata: b\n", [("message", b"a")]),
    ("unfinished line", b"data: a\n\ndata: b", [("message", b"a")]),
    ("event type", b"event: add\ndata: 7\n\ndata: 8\n\n", [("add", b"7"), ("message", b"8")]),
    ("event type after data", b"data: 7\nevent: add\n\n", [("add", b"7")]),
    ("last event type wins", b"event: a\nevent: b\ndata: 7\n\n", [("b", b"7")]),
    ("empty event type", b"event: a\nevent\ndata: 7\n\n", [("message", b"7")]),
    ("event type without data is forgotten", b"event: a\n\ndata: 7\n\n", [("message", b"7")]),
    ("id alone dispatches nothing", b"id: 1\n\nretry: 10\n\n", []),
    ("id with NUL", b"id: a\x00b\ndata: c\n\n", [("message", b"c")]),
    ("NUL in data", b"data: a\x00b\n\n", [("message", b"a\x00b")]),
    ("unknown fields", b"datax: b\nDATA: c\n data: d\ndata : e\ndata: a\n\n", [("message", b"a")]),
    ("BOM", b"\xef\xbb\xbfdata: a\n\n", [("message", b"a")]),
    ("only one BOM", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("message", b"b")]),
    ("BOM later is data", b"data: \xef\xbb\xbfa\n\n", [("message", b"\xef\xbb\xbfa")]),
    ("half a BOM", b"\xef\xbbdata: a\n\ndata: b\n\n", [("message", b"b")]),
    (
        "line separators are no line ends",
        "data: \u2028\u2029\x85\x0b\x0c\n\n".encode(),
        [("message", "\u2028\u2029\x85\x0b\x0c".encode())],
    ),
    ("emoji", "data: \U0001f469\u200d\U0001f680\n\n".encode(), [("message", "\U0001f469\u200d\U0001f680".encode())]),
    ("not UTF-8", b"data: a\xffb\xc3\n\n", [("message", "a\ufffdb\ufffd".encode())]),
    ("an encoded surrogate", b"data: \xed\xa0\x80\n\n", [("message", ("\ufffd" * 3).encode())]),
    ("event type not UTF-8", b"event: \xff\ndata: a\n\n", [("\ufffd", b"a")]),
    ("nothing", b"", []),
    ("the first line is blank", b"\n\ndata: a\n\n", [("message", b"a")]),
    ("a data line that is not first", b"retry: 1\ndata: a\n\ndata: b\n\n", [("message", b"a"), ("message", b"b")]),
    ("a field hidden in a burst", b"data: a\n\nevent: x\n\ndata: b\n\n", [("message", b"a"), ("message", b"b")]),
]


def parse(*chunks: bytes) -> Events:
    parser = EventStreamParser(ATTEMPT)
    return [(event.event, event.data) for chunk in chunks for event in fed(parser, chunk)]


@pytest.mark.parametrize(("stream", "events"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_s15_the_standards_cases_at_every_split(stream: bytes, events: Events) -> None:
    assert parse(stream) == events
    assert parse(*(bytes([byte]) for byte in stream)) == events
    for cut in range(len(stream) + 1):
        assert parse(stream[:cut], stream[cut:]) == events, cut


@pytest.mark.parametrize("first", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("second", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("third", [b"\r", b"\n", b"\r\n"])
def test_s15_line_ends_in_every_mix(first: bytes, second: bytes, third: bytes) -> None:
    stream = b"data: a" + first + b"data: b" + second + b"x" + third + b"\n\ndata: c\n\n"
    events = [("message", b"a\nb"), ("message", b"c")]
    assert parse(stream) == events
    for cut in range(len(stream) + 1):
        assert parse(stream[:cut], b"", stream[cut:]) == events, cut


pieces = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"event: ",
        b"event:x",
        b"id: ",
        b":",
        b" ",
        b"a",
        b"\r",
        b"\n",
        b"\n",
        b"\n\n",
        b"\r\n",
        b"\xff",
        b"\xc3",
        b"\x00",
        b"data: x\n\n",
        b"data: y\n\n",
        *(text.encode() for text in ("\u2028", "\ufeff", "\U0001f680")),
    ]
)


@given(st.lists(pieces, max_size=40).map(b"".join), st.lists(st.integers(0, 200), max_size=8))
def test_s15_any_bytes_in_any_chunks_are_what_another_client_reads(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(places)]
    text = stream.decode(errors="replace").encode()
    seen = [(event, data.decode()) for event, data in parse(*chunks)]
    assert seen == [(event.event, event.data) for event in EventSourceClient().read(text)]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), st.integers(0, 100))
def test_s15_any_text_comes_out_unchanged(text: str, cut: int) -> None:
    stream = f"data: {text}\n\n".encode()
    assert parse(stream[:cut], stream[cut:]) == [("message", text.encode())]


@pytest.mark.parametrize("size", [16, 1 << 10, 1 << 16, 1 << 22])
def test_an_event_may_be_as_large_as_an_answer_in_one_chunk_and_in_many_12(size: int) -> None:
    bounds = AnswerBounds(3 << 20)
    block = b"data: {" + b"x" * (bounds.max_bytes - 9) + b"\n\n"
    parser = EventStreamParser(ATTEMPT, bounds)
    events = [event for start in range(0, len(block), size) for event in fed(parser, block[start : start + size])]
    assert [len(event.data) for event in events] == [bounds.max_bytes - 8]
    assert bounds.room.taken == 0
    with pytest.raises(ProviderAnswerTooLargeError):
        parser.feed(b"\n")


@pytest.mark.parametrize("name", [b"data: ", b"data: DONE", b": ", b"event: ", b"y", b"id: {", b'"data": {'])
def test_a_line_above_1_mib_that_is_no_json_is_refused_in_one_chunk_and_in_many(name: bytes) -> None:
    line = name + b"x" * MAX_LINE_BYTES
    for chunks in ([line + b"\n\n"], [line], [line[:1000], line[1000:]], [line[:-1], b"x\n\n"]):
        with pytest.raises(ProviderResponseError) as caught:
            parse(*chunks)
        assert caught.value.thread_id == "thread-1"
        assert caught.value.details == {"provider": "local"}


def test_a_line_of_1_mib_may_be_anything() -> None:
    at_the_bound = (b"data: " + b"x" * MAX_LINE_BYTES)[:MAX_LINE_BYTES]
    assert len(parse(at_the_bound + b"\n\n")[0][1]) == MAX_LINE_BYTES - 6


def test_a_stream_above_its_bound_is_refused_for_good_12_g11() -> None:
    block = b"data: " + b"x" * 1016 + b"\n\n"
    parser = EventStreamParser(ATTEMPT, AnswerBounds(10 * len(block)))
    for _ in range(10):
        assert fed(parser, block)
    with pytest.raises(ProviderAnswerTooLargeError) as caught:
        parser.feed(block)
    assert not caught.value.retryable
    assert (caught.value.thread_id, caught.value.details) == ("thread-1", {"provider": "local"})


@pytest.mark.parametrize("line", [b"data: {", b"data:[", b"data:\t {"])
def test_what_is_not_whole_has_a_bound_over_all_streams_12(line: bytes) -> None:
    """Each stream may hold a mebibyte; what they hold beyond that is taken from one room, and given back."""
    room = EventRoom(3 << 20)
    parsers = [EventStreamParser(ATTEMPT, AnswerBounds(64 << 20, room)) for _ in range(4)]
    for parser in parsers[:3]:
        parser.feed(line + b"x" * (FREE_BYTES + (1 << 20) - len(line)))
    assert room.taken == 3 << 20
    parsers[3].feed(b"data: {".ljust(FREE_BYTES, b"y"))
    with pytest.raises(NoRoomLeftError) as caught:
        parsers[3].feed(b"y")
    assert (caught.value.retryable, caught.value.retry_after) == (True, 1.0)
    parsers[0].close()
    parsers[0].close()
    parsers[1].feed(b"\n\n")
    assert room.taken == 1 << 20
    parsers[2].close()
    assert room.taken == 0


def test_time_is_linear_in_a_line_that_comes_in_small_chunks() -> None:
    def seconds(size: int) -> float:
        parser = EventStreamParser(ATTEMPT)
        began = time.process_time()
        for _ in range(size // 16):
            parser.feed(b"x" * 16)
        return time.process_time() - began

    small, large = (min(seconds(size) for _ in range(3)) for size in (1 << 17, 1 << 20))
    assert large < 8 * small * 4  # linear is 8 times; quadratic would be 64
