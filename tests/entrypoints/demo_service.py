"""What the tests of the doors share: scripts for the demo provider, and what a client does with a stream."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from adapters.memory.clock import SystemClock
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script, text_pieces
from domain.delta import Delta
from domain.errors import ProviderUnavailableError
from tests.event_source import ClientEvent

ANSWER = "One two three four five six seven eight nine ten."
SCRIPTS: Mapping[str, Script] = {
    "fast": Script(text_pieces(ANSWER)),
    "paced": Script(text_pieces(ANSWER), delay=0.02),
    "endless": Script(text_pieces("x " * 100_000), delay=0.01),
    "silent": Script(text_pieces(ANSWER), stall_at=0),
    "stalls": Script(text_pieces(ANSWER), stall_at=3),
    "broken": Script(text_pieces(ANSWER), error=ProviderUnavailableError, error_at=3),
    "cut": Script(text_pieces(ANSWER), finish_reason=None),
    "filtered": Script(text_pieces(ANSWER), finish_reason="content_filter"),
    "echo": Script(None),
    "usage-last": Script((Delta("a"), Delta(finish_reason="stop", model="m")), finish_reason=None),
}


def demo() -> DemoProvider:
    return DemoProvider("demo", SystemClock(), SCRIPTS)


def body(model: str, prompt: str = "hi", **options: object) -> dict[str, Any]:
    return {"model": f"demo/{model}", "prompt": prompt, **options}


def text_of(events: list[ClientEvent]) -> str:
    return "".join(json.loads(event.data)["text"] for event in events if event.event == "delta")


async def cut_after(response: httpx.Response, events: int) -> bytes:
    """What a client has when it hangs up after so many whole events."""
    seen = b""
    async for piece in response.aiter_raw():
        seen += piece
        if seen.count(b"\n\n") >= events:
            break
    return b"".join(block + b"\n\n" for block in seen.split(b"\n\n")[:-1][:events])
