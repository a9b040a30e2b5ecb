"""A client that tells all that it got, through a real service, from the failing upstream; and what that one saw."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.event_source import parse
from tests.service import Running, running

WHOLE = "".join(f" tok{number}" for number in range(1, 61))
ENVIRON = {
    "STREAM_FIRST_EVENT_TIMEOUT": "0.6",
    "STREAM_FIRST_EVENT_TIMEOUT_LAST": "0.6",
    "STREAM_IDLE_TIMEOUT": "0.6",
    "RETRY_BASE_DELAY": "0.02",
    "RETRY_MAX_DELAY": "2",
    "CB_FAILURE_THRESHOLD": "50",
}


@dataclass
class Got:
    """One answer, as a client of OpenAI's dialect sees it."""

    status: int
    headers: httpx.Headers
    text: str = ""
    roles: int = 0
    finishes: list[str] = field(default_factory=list)
    usages: list[dict[str, int]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    done: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is the unfailed answer: one role, one finish, one usage, one end."""
        ends = (self.roles, self.finishes, len(self.usages), self.done, self.error)
        return self.text == WHOLE and ends == (1, ["stop"], 1, True, None)


@dataclass
class Bench:
    """A service with one route, `fast`, in front of the failing upstream."""

    service: Running
    upstream: str

    async def ask(self, **fields: Any) -> Got:
        """Streams an answer of the route."""
        body = {
            "model": "fast",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            **fields,
        }
        response = await self.service.client.post("/v1/chat/completions", json=body)
        got = Got(response.status_code, response.headers)
        if response.status_code != 200:
            got.error = response.json()["error"]
            return got
        for event in parse(response.content):
            take(got, event.data)
        return got

    async def saw(self, model: str) -> dict[str, Any]:
        """What the upstream saw of a model."""
        async with httpx.AsyncClient() as http:
            answer = await http.get(self.upstream.removesuffix("/v1") + "/_stats")
        nothing = {"requests": 0, "open": 0, "hangups": [], "sent": [], "times": [], "body": None}
        return dict(answer.json()["models"].get(model, nothing))

    async def hangups(self, model: str, count: int) -> list[float]:
        """When the upstream was hung up on, in seconds from each request; there are to be so many, soon."""
        async with asyncio.timeout(5):
            while (saw := await self.saw(model))["open"] or len(saw["hangups"]) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # it is another process
        assert len(saw["hangups"]) == count
        return list(saw["hangups"])

    async def closed(self, model: str) -> None:
        """Waits until the upstream has no connection open for it."""
        async with asyncio.timeout(5):
            while (await self.saw(model))["open"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def calls(self, *models: str) -> list[int]:
        """How often the upstream was asked for each."""
        return [(await self.saw(model))["requests"] for model in models]


def take(got: Got, data: str) -> None:
    """What one event adds to it."""
    assert not got.done, "something follows the end"
    if data == "[DONE]":
        got.done = True
        return
    chunk = json.loads(data)
    got.error = chunk.get("error") or got.error
    got.usages += [chunk["usage"]] if chunk.get("usage") else []
    for choice in chunk.get("choices", ()):
        got.text += choice["delta"].get("content") or ""
        got.roles += "role" in choice["delta"]
        got.finishes += [choice["finish_reason"]] if choice.get("finish_reason") else []


@contextlib.asynccontextmanager
async def bench(upstream: str, folder: Path, *targets: str, **environ: str) -> AsyncIterator[Bench]:
    """A service whose route leads to these models of the upstream, or whole targets, in order."""
    names = ", ".join(json.dumps(target if "/" in target else f"openai/{target}") for target in targets)
    config = folder / "headgate.toml"
    config.write_text(f"[routes]\nfast = [{names}]\n")
    openai = {"OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "sk-upstream"}
    async with running({**ENVIRON, **openai, "HEADGATE_CONFIG": str(config), **environ}) as service:
        yield Bench(service, upstream)
