"""One request at the upstream of the tests, and the means to write any answer to it, byte by byte."""

import asyncio
import json
import re
from typing import Any

TOKENS = 60
UNICODE_TEXT = (
    "emoji \U0001f469\u200d\U0001f680 é, CR \r, LF \n, CRLF \r\n, NUL \x00, NEL \x85,"
    " LS \u2028, PS \u2029, BOM \ufeff, data: [DONE]"
)
SILENCE = 3600.0
_TOKEN = re.compile(r"tok(\d+)")


def _tokens_in(messages: list[dict[str, Any]]) -> int:
    """How many tokens of the answer the conversation ends with, whoever is asked to go on and how."""
    for message in messages[-2:]:
        if message.get("role") == "assistant":
            numbers = _TOKEN.findall(str(message.get("content")))
            return int(numbers[-1]) if numbers else 0
    return 0


class Exchange:
    """One request and the writing of its answer."""

    def __init__(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        self.writer = writer
        self.body = body
        self.model = str(body.get("model"))
        self.sent = 0
        """Bytes of the answer that found room: in the client, or on the way to it."""
        self.number = 1
        """How many requests for the model there have been, this one included."""
        messages = body.get("messages") or []
        self.prefilled = bool(messages) and messages[-1].get("role") == "assistant"
        self.begun = _tokens_in(messages)
        limit = body.get("max_tokens")
        self.tokens = TOKENS if limit is None else self.begun + int(limit)

    async def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        """The head of a chunked answer."""
        fields = {"content-type": kind, "transfer-encoding": "chunked"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.send(f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode())

    async def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()
        self.sent += len(data)

    async def piece(self, data: bytes) -> None:
        """One HTTP chunk."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """The end of the body."""
        await self.send(b"0\r\n\r\n")

    async def event(self, data: Any) -> None:
        """One event with JSON for data."""
        await self.piece(b"data: " + json.dumps(data).encode() + b"\n\n")

    async def done(self) -> None:
        """The end mark and the end."""
        await self.piece(b"data: [DONE]\n\n")
        await self.end()

    async def reply(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        """A whole answer with its length."""
        fields = {"content-type": kind, "content-length": str(len(body))}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.send(f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode() + body)

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **extra: Any) -> dict[str, Any]:
        """A chunk of an answer."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **extra.pop("choice", {})}
        return {
            "id": "chatcmpl-faults",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": self.model,
            "choices": [choice],
            **extra,
        }

    def usage(self) -> dict[str, Any]:
        """The chunk with the usage."""
        prompt, answer = 9 + self.begun, self.tokens - self.begun
        counts = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
        return {**self.chunk({}), "choices": [], "usage": counts}

    async def words(self, count: int, pause: float = 0.0) -> None:
        """The head, the role and the tokens up to this one, from behind those that the conversation has already."""
        await self.head()
        await self.event(self.chunk({"role": "assistant", "content": ""}))
        for number in range(self.begun + 1, count + 1):
            if pause:
                await asyncio.sleep(pause)
            await self.event(self.chunk({"content": f" tok{number}"}))

    async def finish(self, reason: str = "stop") -> None:
        """The finish reason and the usage."""
        await self.event(self.chunk({}, reason))
        await self.event(self.usage())
