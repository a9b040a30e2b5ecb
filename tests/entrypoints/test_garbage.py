"""A request leaves nothing behind that only the garbage collector can find: its pauses would hold every stream up."""

import asyncio
import gc
import json
from collections import Counter

import pytest

from tests.entrypoints.demo_service import body, demo
from tests.fleet.http_client import ask, call
from tests.service import running

REQUESTS = 20
OF_A_REQUEST = ("domain.", "adapters.", "entrypoints.", "uvicorn.", "starlette.", "fastapi.", "builtins.coroutine")
"""The sockets of asyncio's own loop, which these tests run on, are found by the collector too."""


async def one(url: str, kind: str, number: int) -> None:
    """A request that goes that way."""
    path, fields = "/v1/streams", body("fast", prompt="same" if kind == "hit" else f"{kind} {number}")
    if kind == "plain":
        path = "/v1/chat/completions"
        fields = {"model": fields["model"], "messages": [{"role": "user", "content": f"{number}"}]}
    if kind == "left":
        fields = body("endless", prompt=f"{number}")
        async with ask(url, "POST", path, fields, {"X-Stream-Grace": "0"}) as answer:
            await answer.read(50)
        return
    answer, data = await call(url, "POST", path, fields)
    assert answer.status == (429 if kind == "refused" else 200), data


@pytest.mark.parametrize("kind", ["miss", "hit", "plain", "refused", "left"])
async def test_a_request_leaves_nothing_for_the_garbage_collector(kind: str) -> None:
    environ = {"RATE_LIMIT_REQUESTS_PER_MINUTE": "1" if kind == "refused" else "1000000"}
    async with running(environ, llm={"demo": demo()}) as service:
        if kind == "refused":
            await one(service.url, "miss", 0)
        for number in range(5):
            await one(service.url, kind, number)
        await service.until_idle()
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for number in range(REQUESTS):
                await one(service.url, kind, 100 + number)
            await service.until_idle()
            await asyncio.sleep(0)
            gc.collect()
            found = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    often = {name: count for name, count in found.items() if count >= REQUESTS and name.startswith(OF_A_REQUEST)}
    assert not often, json.dumps(often)
