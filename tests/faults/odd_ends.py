"""Ends of answers, and numbers in them, that nobody expects: parts of the behaviours."""

import json
from typing import Any

from tests.faults.exchange import Exchange

HALF_MIB = 1 << 19
PIECES = 40
"""Of half a MiB: more than an answer may be."""


async def gives_up(exchange: Exchange) -> None:
    """As DeepSeek does when its machines are full."""
    await exchange.words(20)
    await exchange.finish("insufficient_system_resource")
    await exchange.done()


async def huge_counts(exchange: Exchange) -> None:
    """Says that it took more tokens than there are atoms."""
    await exchange.words(exchange.tokens)
    counts = {"prompt_tokens": 10**80, "completion_tokens": -1}
    await exchange.event({**exchange.chunk({}, "stop"), "usage": counts})
    await exchange.done()


async def huge_index(exchange: Exchange) -> None:
    """Calls a tool in a place that no list has."""
    function = {"name": "f", "arguments": "{}"}
    call: dict[str, Any] = {"index": 10**30, "id": "call_1", "type": "function", "function": function}
    await exchange.head()
    await exchange.event(exchange.chunk({"role": "assistant", "tool_calls": [call]}))
    await exchange.finish("tool_calls")
    await exchange.done()


async def finishes_twice(exchange: Exchange) -> None:
    """Repeats the reason beside the usage."""
    await exchange.words(exchange.tokens)
    await exchange.event(exchange.chunk({}, "stop"))
    await exchange.event({**exchange.usage(), **exchange.chunk({}, "stop")})
    await exchange.done()


async def huge_answer(exchange: Exchange) -> None:
    """Sound events, and far too many of them."""
    await exchange.head()
    for _ in range(PIECES):
        await exchange.event(exchange.chunk({"content": "x" * HALF_MIB}))
    await exchange.finish()
    await exchange.done()


async def huge_silence(exchange: Exchange) -> None:
    """Comments without an end."""
    await exchange.head()
    for _ in range(PIECES):
        await exchange.piece(b": " + b"x" * HALF_MIB + b"\n\n")
    await exchange.done()


async def huge_json(exchange: Exchange) -> None:
    """A whole answer instead of a stream."""
    message = {"role": "assistant", "content": "x" * (PIECES * HALF_MIB)}
    answer = {
        **exchange.usage(),
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    await exchange.reply(200, json.dumps(answer).encode())
