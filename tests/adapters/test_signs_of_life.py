"""Any byte from upstream is a sign of life (R2): what each dialect's provider tells of what is no event."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from adapters.providers.anthropic import AnthropicProvider
from adapters.providers.gemini import GeminiProvider
from adapters.providers.openai import OpenAIProvider
from adapters.providers.streamed_answer import StreamedAnswer
from domain.delta import Delta
from domain.model import CompletionRequest, Message
from ports.provider import Provider
from tests.adapters.test_upstream import Peer, serving

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
REQUEST = CompletionRequest("m", [Message("user", "hi")], {"max_tokens": 10})
ENDS = {
    "openai": b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    "anthropic": b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n'
    b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\ndata: {"type":"message_stop"}\n\n',
    "gemini": b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}\n\n',
}
MAKES: dict[str, Callable[[str], Provider]] = {
    "openai": lambda url: OpenAIProvider("it", url),
    "anthropic": lambda url: AnthropicProvider("it", url),
    "gemini": lambda url: GeminiProvider("it", url),
}
SIGNS = {
    "openrouter": [b": OPENROUTER PROCESSING\n\n"] * 2,
    "keep-alive": [b": keep-alive\n\n", b":\n\n"],
    "ping": [b'event: ping\ndata: {"type": "ping"}\n\n'],
    "blank": [b"\n", b"\r\n", b"   "],
    "retry": [b"retry: 1000\n\n", b"id: 1\n\n"],
    "half": [b"da", b"ta:"],
}

ROWS = [(dialect, sign) for dialect in MAKES for sign in SIGNS if dialect == "anthropic" or sign != "ping"]


class Steps:
    """A peer that sends its pieces one at a time, each once the one before has had its effect."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.go = asyncio.Event()

    async def __call__(self, _: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()
            await self.go.wait()
            self.go.clear()
        writer.close()


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def told(dialect: str, pieces: list[bytes], *, delivered: bool) -> tuple[int, str]:
    """How many of the pieces before the last were told as signs of life, and the text that came in the end."""
    steps = Steps(pieces)
    signs, deltas = 0, list[Delta]()

    def alive() -> None:
        nonlocal signs
        signs += 1
        steps.go.set()

    async with serving(steps) as (_, url):
        provider = MAKES[dialect](url)
        answer = cast("StreamedAnswer", provider.stream(REQUEST, "m", "t"))
        answer.on_life(alive)
        async with asyncio.timeout(10), answer as batches:
            if delivered:
                await batches.deliver(deltas.extend)
            else:
                async for batch in batches:
                    deltas.extend(batch)
        before = signs
        steps.go.set()
        await provider.aclose()
    return before, "".join(delta.text for delta in deltas)


@pytest.mark.parametrize("delivered", [True, False])
@pytest.mark.parametrize(
    ("dialect", "sign"),
    [(dialect, sign) for dialect in MAKES for sign in SIGNS if dialect == "anthropic" or sign != "ping"],
)
async def test_what_is_no_event_is_a_sign_of_life_r2(dialect: str, sign: str, delivered: bool) -> None:
    """Each piece goes out only once the one before was told: without one the answer would never come."""
    if sign == "half":
        first, _, rest = ENDS[dialect].partition(b" ")
        assert first == b"data:"
        pieces = [HEAD, *map(chunked, SIGNS[sign]), chunked(b" " + rest) + b"0\r\n\r\n"]
    else:
        pieces = [HEAD, *map(chunked, SIGNS[sign]), chunked(b"\n" + ENDS[dialect]) + b"0\r\n\r\n"]
    signs, text = await told(dialect, pieces, delivered=delivered)
    assert text == "a"
    assert signs >= len(SIGNS[sign]) + 1


@pytest.mark.parametrize("dialect", MAKES)
async def test_what_comes_before_the_body_is_one_too_r2(dialect: str) -> None:
    """Interim answers, a head in pieces, and the frame of a chunk."""
    body = ENDS[dialect]
    pieces = [
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 200",
        HEAD.removeprefix(b"HTTP/1.1 200"),
        b"%x\r\n" % len(body),
        body + b"\r\n0\r\n\r\n",
    ]
    signs, text = await told(dialect, pieces, delivered=True)
    assert text == "a"
    assert signs >= len(pieces) - 1


async def test_what_brings_an_event_is_told_as_that_alone_r2() -> None:
    """The path of each event has no call more."""
    event = chunked(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
    signs, text = await told("openai", [HEAD, event * 3 + chunked(ENDS["openai"])], delivered=True)
    assert (signs, text) == (1, "aaaa")
