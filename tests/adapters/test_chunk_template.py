"""Reading by comparison gives what reading by decoding gives, for any chunks in any order."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.attempt import Attempt
from adapters.providers.chunk_template import TRIES, TemplateReader
from adapters.providers.event_stream import MESSAGE, ServerSentEvent
from adapters.providers.openai_chunks import OpenAIChunks, chunk_delta
from domain.errors import ProviderError, ProviderResponseError
from domain.model import Delta

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


def message(data: bytes) -> ServerSentEvent:
    return ServerSentEvent(MESSAGE, data)


def decode(data: bytes) -> Delta:
    return chunk_delta(data, ATTEMPT)


@given(st.lists(st.tuples(chunks, st.booleans()), max_size=12), st.booleans())
def test_any_chunks_are_read_as_the_decoder_reads_them(rows: list[tuple[dict[str, Any], bool]], spaced: bool) -> None:
    reader = TemplateReader(OpenAIChunks(ATTEMPT))
    for chunk, ascii_only in rows:
        data = encoded(chunk, ascii_only=ascii_only, spaced=spaced)
        try:
            expected = decode(data)
        except ProviderResponseError:
            continue
        assert reader.delta(message(data)) == expected


def chunk(text: str) -> bytes:
    return b'{"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}' % text.encode()


@given(st.lists(st.sampled_from(["tok", '"', '"}', "\\n", "\\", "a\tb", "é", "\u2028", "{", '","content":"x'])))
def test_what_is_no_chunk_is_refused_all_the_same(texts: list[str]) -> None:
    reader = TemplateReader(OpenAIChunks(ATTEMPT))
    for text in ("one", "two", *texts):
        try:
            expected: Delta | None = decode(chunk(text))
        except ProviderResponseError:
            expected = None
        if expected is None:
            with pytest.raises(ProviderResponseError):
                reader.delta(message(chunk(text)))
        else:
            assert reader.delta(message(chunk(text))) == expected


def test_a_quote_too_few_is_no_empty_text() -> None:
    reader = TemplateReader(OpenAIChunks(ATTEMPT))
    reader.delta(message(chunk("one")))
    with pytest.raises(ProviderResponseError):
        reader.delta(message(chunk("one").replace(b'"one"', b'"')))


class Counting(OpenAIChunks):
    """Keeps what it is asked to decode."""

    def __init__(self) -> None:
        super().__init__(ATTEMPT)
        self.calls: list[bytes] = []

    def delta(self, event: ServerSentEvent) -> Delta | None:
        self.calls.append(event.data)
        return super().delta(event)


def text_of(delta: Delta | None) -> str | None:
    return None if delta is None else delta.text


def test_chunks_of_one_shape_are_decoded_once() -> None:
    counting = Counting()
    reader = TemplateReader(counting)
    assert [text_of(reader.delta(message(chunk(f"tok{number}")))) for number in range(50)] == [
        f"tok{n}" for n in range(50)
    ]
    assert len(counting.calls) == 1


def test_a_shape_that_changes_is_not_looked_for_for_ever() -> None:
    counting = Counting()
    reader = TemplateReader(counting)
    for number in range(50):
        data = chunk("x").replace(b'"index"', b'"n":%d,"index"' % number)
        assert text_of(reader.delta(message(data))) == "x"
    assert len(counting.calls) == 50
    assert reader._tries == 0
    assert TRIES < 50


def test_an_event_of_the_type_error_is_one_whatever_its_shape() -> None:
    reader = TemplateReader(OpenAIChunks(ATTEMPT))
    reader.delta(message(chunk("one")))
    with pytest.raises(ProviderError):
        reader.delta(ServerSentEvent("error", chunk("two")))
