"""Readers that are cut and come back: what an EventSource keeps of each connection, joined."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field

from tests.fleet.harness import Fleet
from tests.fleet.http_client import Answer, ask, call

NATIVE, OPENAI = "", "?dialect=openai"
NOTICE = b'event: status\ndata: {"resumable":false}'
CUT = (asyncio.IncompleteReadError, ConnectionError)


def blocks(body: bytes) -> list[bytes]:
    """The whole blocks of a body, without comments; what follows the last blank line is discarded."""
    whole = body[: body.rfind(b"\n\n") + 2].split(b"\n\n")[:-1]
    kept = (b"\n".join(line for line in block.split(b"\n") if not line.startswith(b":")) for block in whole)
    return [block for block in kept if block]


def event_id(block: bytes) -> bytes:
    """The id of a block, b"" if it has none."""
    first = block.partition(b"\n")[0]
    return first.removeprefix(b"id: ") if first.startswith(b"id: ") else b""


def seq_of(block: bytes) -> int:
    """The place of an event in its stream."""
    return int(event_id(block).rpartition(b"-")[2])


def is_terminal(block: bytes) -> bool:
    """Whether this ends a stream, in either dialect."""
    _, _, rest = block.partition(b"\n")
    return rest.startswith((b"event: complete\n", b"event: error\n", b"event: cancelled\n", b'data: {"error"')) or (
        rest == b"data: [DONE]"
    )


@dataclass
class StreamReader:
    """Follows one stream over as many connections as it takes; `events` are the blocks with an id, in order."""

    stream_id: str = ""
    dialect: str = NATIVE
    events: list[bytes] = field(default_factory=list)
    notices: int = 0
    """How often it was told that the stream cannot be resumed."""
    raw: bytes = b""
    """The body of the present connection."""

    @property
    def ended(self) -> bool:
        """Whether the terminal event has come."""
        return bool(self.events) and is_terminal(self.events[-1])

    @property
    def terminal(self) -> bytes:
        """The last event, which is the end of the stream."""
        assert self.ended, self.events[-1:]
        return self.events[-1]

    async def take(self, answer: Answer, limit: int | None = None) -> None:
        """Reads a body, to its end or until there are `limit` bytes; a cut is none of its business."""
        # Where the log cannot be reached the answer is a hint to come back, and tells nothing of the stream (S9).
        self.stream_id, self.raw = answer.headers.get("x-stream-id", self.stream_id), b""
        pieces = answer.pieces()
        try:
            with suppress(*CUT):
                async for piece in pieces:
                    self.raw += piece
                    if limit is not None and len(self.raw) >= limit:
                        break
        finally:
            await pieces.aclose()
            received = blocks(self.raw)
            self.notices += received.count(NOTICE)
            self.events += [block for block in received if event_id(block)]

    async def resume(self, url: str, limit: int | None = None) -> int:
        """One more connection, from where the last one stopped; its status."""
        headers = {"Last-Event-ID": event_id(self.events[-1]).decode()} if self.events else {}
        async with ask(url, "GET", f"/v1/streams/{self.stream_id}{self.dialect}", headers=headers) as answer:
            if answer.status == 200:
                await self.take(answer, limit)
            return answer.status

    async def cut_and_resume(self, fleet: Fleet, rng: random.Random, most: int = 4000) -> None:
        """Goes on, on any replica, cut after any number of bytes, until the end."""
        while not self.ended:
            await self.resume(fleet.url(rng.randrange(len(fleet.replicas))), rng.randrange(1, most))

    def check(self) -> None:
        """Ids without a gap or a double (in the native dialect), one end, nothing behind it."""
        assert sum(map(is_terminal, self.events)) == 1
        assert is_terminal(self.events[-1])
        seqs = [seq_of(block) for block in self.events]
        if self.dialect == NATIVE:
            assert seqs == list(range(len(seqs)))
        else:  # what this dialect does not show leaves its ids out
            assert seqs == sorted(set(seqs))
        assert len({event_id(block).rpartition(b"-")[0] for block in self.events}) == 1


async def told(url: str, stream_id: str, dialect: str = NATIVE, after: str = "", *, seconds: float = 10) -> list[bytes]:
    """All blocks of one answer to a reader; one that is told to come back (S9) does so."""
    headers = {"Last-Event-ID": after} if after else {}
    async with asyncio.timeout(seconds):
        while True:
            answer, body = await call(url, "GET", f"/v1/streams/{stream_id}{dialect}", headers=headers)
            assert answer.status == 200
            received = blocks(body)
            if not received[-1].startswith(b"retry: "):
                return received
            await asyncio.sleep(0.05)  # an EventSource would wait a second or more


async def whole_log(url: str, stream_id: str, dialect: str = NATIVE, *, seconds: float = 10) -> list[bytes]:
    """The stream from its beginning to its end."""
    return [block for block in await told(url, stream_id, dialect, seconds=seconds) if event_id(block)]
