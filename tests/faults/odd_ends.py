"""Ends of answers, and numbers in them, that nobody expects: parts of the behaviours."""

from typing import Any

from tests.faults.exchange import Exchange


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
