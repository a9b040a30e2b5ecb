"""An event as large as an answer, behind each door, to slow readers too, and above its bound (kind 12, S11, G11)."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.answer_bounds import AnswerBounds
from adapters.providers.openai import OpenAIProvider
from domain.delta import Delta, Dialect, Usage
from domain.events import columns
from domain.model import Batch, StreamInfo
from entrypoints.wire.native import NativeEncoder
from entrypoints.wire.openai import OpenAIEncoder
from tests.adapters.test_upstream import Peer, serving
from tests.event_source import parse
from tests.service import Running, running

INFO = StreamInfo("s", "e", "m", 1, "t")
IMAGE = "data:image/png;base64," + "iVBORw0K" * (1_400_000 // 8)
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
CHAT = {"model": "demo/m", "messages": [{"role": "user", "content": "hi"}]}


def chunk(delta: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps({"id": "c", "choices": [{"index": 0, "delta": delta}]}).encode()


class Upstream:
    """Streams an event and the end of the answer."""

    def __init__(self, *events: bytes, end: bytes = FINISH) -> None:
        self.body = b"".join(events) + end

    async def __call__(self, _: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(self.body))
        for start in range(0, len(self.body), 1 << 16):
            writer.write(self.body[start : start + (1 << 16)])
            await writer.drain()


@asynccontextmanager
async def service(upstream: Upstream, environ: dict[str, str] | None = None) -> AsyncIterator[Running]:
    async with serving(upstream) as (_, url):
        bounds = AnswerBounds(int((environ or {}).get("STREAM_MAX_ANSWER_BYTES", 64 << 20)))
        provider = OpenAIProvider("demo", url, bounds=bounds)
        async with running(environ, llm={"demo": provider}) as one:
            yield one
        assert bounds.room.taken == 0
        await provider.aclose()


@pytest.mark.parametrize("door", ["streamed", "plain", "native"])
@pytest.mark.parametrize("field", ["images", "content"])
async def test_an_image_or_a_text_of_a_mebibyte_and_more_goes_through_each_door_12(door: str, field: str) -> None:
    images = [{"type": "image_url", "image_url": {"url": IMAGE}}]
    delta: dict[str, Any] = {"images": images} if field == "images" else {"content": IMAGE}
    async with service(Upstream(chunk(delta))) as one:
        if door == "plain":
            got = await one.client.post("/v1/chat/completions", json=CHAT)
            assert got.status_code == 200
            assert got.json()["choices"][0]["message"][field] == delta[field]
        elif door == "streamed":
            got = await one.client.post("/v1/chat/completions", json={**CHAT, "stream": True})
            assert chunk(delta).rstrip() in got.content  # D2: byte for byte
            assert got.content.endswith(b"data: [DONE]\n\n")
        else:
            got = await one.client.post("/v1/streams", json={"prompt": "hi", "model": "demo/m"})
            events = parse(got.content)
            assert events[-1].event == "complete"
            text = "".join(json.loads(event.data).get("text", "") for event in events if event.event == "delta")
            assert text == (IMAGE if field == "content" else "")


@pytest.mark.parametrize("stream", [True, False])
async def test_above_its_bound_an_answer_is_a_502_that_is_not_tried_again_12_g11(stream: bool) -> None:
    upstream = Upstream(chunk({"content": "x" * 200_000}))
    async with service(upstream, {"STREAM_MAX_ANSWER_BYTES": "100000"}) as one:
        got = await one.client.post("/v1/chat/completions", json={**CHAT, "stream": stream})
        assert (got.status_code, got.headers["x-should-retry"]) == (502, "false")
        assert got.json()["error"]["code"] == "provider_answer_too_large"
        (record,) = one.recorder.records
        assert record.attempts == 1


async def test_a_reader_that_stops_holds_a_piece_of_a_large_event_and_not_the_whole_12_s11() -> None:
    size, readers = 8 << 20, 6
    async with service(Upstream(chunk({"content": "x" * size})), {"STREAM_ORPHAN_GRACE": "60"}) as one:
        first = await one.client.post("/v1/streams", json={"prompt": "hi", "model": "demo/m"})
        where = first.headers["content-location"]
        assert len(first.content) > size
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            writers = []
            for _ in range(readers):
                reader, writer = await asyncio.open_connection("127.0.0.1", one.port, limit=1 << 12)
                writer.write(f"GET {where} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                await reader.readuntil(b"\r\n\r\n")
                writers.append(writer)
            await asyncio.sleep(0.2)
            held = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert held < readers * (1 << 20) + (2 << 20)
        again = await one.client.get(where)
        assert again.content == first.content
        for writer in writers:
            writer.close()


EVENTS = [
    Delta("x" * 300_000),
    Delta('\u2028\x00"\\é😀' * 60_000),
    Delta("x" * 300_000 + "\ud83d"),
    Delta("", extra=b'{"images":[{"type":"image_url","image_url":{"url":"%b"}}]}' % (b"A" * 300_000)),
    Delta("x" * 300_000, extra=b'{"a":1}', role="assistant"),
    Delta("x" * 300_000, extra=b"{ }"),
    Delta("x" * 300_000, reasoning="y" * 300_000, finish_reason="stop", usage=Usage(1, 2), model="m"),
    Delta("", b'{"choices":[{"delta":{"images":["%b"]}}]}' % (b"A" * 300_000), Dialect.OPENAI),
]


@pytest.mark.parametrize("event", EVENTS)
def test_the_pieces_of_an_event_say_what_the_whole_says_12(event: Delta) -> None:
    events = columns([event])
    for encoder in (
        NativeEncoder(INFO),
        OpenAIEncoder(INFO, include_usage=True),
        OpenAIEncoder(INFO, include_usage=False),
    ):
        pieces = list(encoder.pieces(3, events.texts[0], events.kinds[0]))
        assert max(map(len, pieces)) <= 1 << 20
        (whole,), (joined,) = parse(encoder.encode(Batch(3, events))), parse(b"".join(pieces))
        assert (whole.event, json.loads(whole.data)) == (joined.event, json.loads(joined.data))
        assert b"\n" not in joined.data.encode("utf-8", "surrogatepass")
