"""Reading by comparison gives what reading by decoding gives, for any chunks in any order."""

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.attempt import Attempt
from adapters.providers.chunk_template import TRIES, ChunkTemplate
from adapters.providers.delta_feed import WORTH, DeltaFeed
from adapters.providers.event_stream import ServerSentEvent
from adapters.providers.openai_chunks import OpenAIChunks, chunk_event
from domain.delta import Delta
from domain.errors import ProviderError, ProviderResponseError

ATTEMPT = Attempt("p/m", "t")
AWKWARD = ["", '"', "\\", "}", '"content":', "\u2028", "\u0085", "\ufeff", "é😀", " a"]
texts = st.text(max_size=6) | st.sampled_from(AWKWARD)
deltas = st.fixed_dictionaries(
    {"content": texts},
    optional={"role": st.just("assistant"), "reasoning_content": texts, "tool_calls": st.just([{"index": 0}])},
)
choices = st.fixed_dictionaries(
    {"index": st.just(0), "delta": deltas, "finish_reason": st.sampled_from([None, None, None, "stop"])}
)
chunks = st.fixed_dictionaries(
    {"choices": st.lists(choices, min_size=1, max_size=1)},
    optional={"id": st.sampled_from(["a", "b"]), "model": texts, "usage": st.none() | st.just({"prompt_tokens": 1})},
)


def encoded(chunk: dict[str, Any], *, ascii_only: bool, spaced: bool) -> bytes:
    text = json.dumps(chunk, ensure_ascii=ascii_only, separators=(", ", ": ") if spaced else (",", ":"))
    return text.encode("utf-8", "surrogatepass")


def seen(delta: Delta) -> tuple[object, ...]:
    """What a delta says, however it is kept."""
    return (delta.text, delta.raw, *delta.shape[2:])


def fed(*reads: list[bytes]) -> tuple[list[tuple[object, ...]], ProviderError | None]:
    """What comes of these chunks, and how it failed."""
    feed = DeltaFeed(ATTEMPT, OpenAIChunks(ATTEMPT), 1, ChunkTemplate())
    deltas: list[Delta] = []
    for read in reads:
        if feed.failure is None:
            deltas += feed.feed(b"".join(b"data: %b\n\n" % data for data in read))
    return [seen(delta) for delta in deltas], feed.failure


def decoded(chunks: Iterable[bytes]) -> list[tuple[object, ...]]:
    """The deltas of the chunks up to the first that is none."""
    deltas = []
    reader = OpenAIChunks(ATTEMPT)
    with suppress(ProviderResponseError):
        for data in chunks:
            delta = reader.delta(chunk_event(data))
            assert delta is not None
            deltas.append(seen(delta))
    return deltas


def in_reads(chunks: list[bytes], size: int) -> list[list[bytes]]:
    return [chunks[place : place + size] for place in range(0, len(chunks), size)]


@given(st.lists(st.tuples(chunks, st.booleans()), max_size=24), st.booleans(), st.integers(1, 24))
def test_any_chunks_are_read_as_the_decoder_reads_them(
    rows: list[tuple[dict[str, Any], bool]], spaced: bool, size: int
) -> None:
    """However many of them come in one read."""
    given_chunks = [encoded(chunk, ascii_only=ascii_only, spaced=spaced) for chunk, ascii_only in rows]
    readable = [data for data in given_chunks if decoded([data])]
    assert fed(*in_reads(readable, size)) == (decoded(readable), None)


def chunk(text: str) -> bytes:
    return b'{"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}' % text.encode()


@given(
    st.lists(st.sampled_from(["tok", '"', '"}', "\\n", "\\", "a\tb", "é", "\u2028", "{", '","content":"x'])),
    st.integers(1, 12),
)
def test_what_is_no_chunk_is_refused_all_the_same(texts: list[str], size: int) -> None:
    pieces = [chunk(text) for text in ("one", "two", *texts)]
    deltas, failure = fed(*in_reads(pieces, size))
    assert deltas == decoded(pieces)
    assert (failure is None) is (len(deltas) == len(pieces))


@pytest.mark.parametrize("count", [1, WORTH, 20])
def test_a_quote_too_few_is_no_empty_text(count: int) -> None:
    pieces = [chunk("one")] * count + [chunk("one").replace(b'"one"', b'"')]
    for reads in ([pieces], in_reads(pieces, 1)):
        deltas, failure = fed(*reads)
        assert len(deltas) == count
        assert isinstance(failure, ProviderResponseError)


class Counting(OpenAIChunks):
    """Keeps what it is asked to decode."""

    def __init__(self) -> None:
        super().__init__(ATTEMPT)
        self.calls: list[bytes] = []

    def delta(self, event: ServerSentEvent) -> Delta | None:
        self.calls.append(event.data)
        return super().delta(event)


@pytest.mark.parametrize("size", [1, 50])
def test_chunks_of_one_shape_are_decoded_once(size: int) -> None:
    counting = Counting()
    feed = DeltaFeed(ATTEMPT, counting, 1, ChunkTemplate())
    texts = [f"tok{number}" for number in range(50)]
    deltas: list[Delta] = []
    for read in in_reads([b"data: %b\n\n" % chunk(text) for text in texts], size):
        deltas += feed.feed(b"".join(read))
    assert [delta.text for delta in deltas] == texts
    assert len(counting.calls) == 1
    assert len({id(delta.shape) for delta in deltas[1:]}) == 1


def test_a_shape_that_changes_is_not_looked_for_for_ever() -> None:
    counting, template = Counting(), ChunkTemplate()
    feed = DeltaFeed(ATTEMPT, counting, 1, template)
    for number in range(50):
        data = chunk("x").replace(b'"index"', b'"n":%d,"index"' % number)
        (delta,) = feed.feed(b"data: %b\n\n" % data)
        assert delta.text == "x"
    assert len(counting.calls) == 50
    assert template.tries == 0
    assert TRIES < 50


def test_an_event_of_the_type_error_is_one_whatever_its_shape() -> None:
    feed = DeltaFeed(ATTEMPT, OpenAIChunks(ATTEMPT), 1, ChunkTemplate())
    assert len(feed.feed(b"data: %b\n\n" % chunk("one"))) == 1
    assert feed.feed(b"event: error\ndata: %b\n\n" % chunk("two")) == []
    assert isinstance(feed.failure, ProviderError)


@pytest.mark.parametrize("read", [b"\rX\r", b"\r\r", b"X", b"\n\n"])
def test_what_is_read_before_a_shape_is_known_is_no_chunk(read: bytes) -> None:
    feed = DeltaFeed(ATTEMPT, OpenAIChunks(ATTEMPT), 1, ChunkTemplate())
    assert feed.feed(read) == []
    assert [delta.text for delta in feed.feed(b"\n\ndata: %b\n\n" % chunk("one"))] == ["one"]
