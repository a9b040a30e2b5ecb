"""Load during a fault of Redis: streams with readers on two replicas each, and new requests all the while."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.fleet.harness import Fleet, eventually
from tests.fleet.http_client import call
from tests.fleet.readers import StreamReader, blocks

STREAMS = 9
ANSWERED = 1.0
"""Seconds for a new request during an outage: ten times what it takes, since machines of CI are slow."""


@dataclass
class Load:
    """What the clients saw."""

    attached: list[StreamReader] = field(default_factory=list)
    """Those on the replica that makes the stream, each on one connection."""
    elsewhere: list[StreamReader] = field(default_factory=list)
    """Those on another replica, in the same order, who come back whenever they are cut."""
    waits: list[float] = field(default_factory=list)
    """Seconds that new requests took, to the end of their answers."""

    def check_attached(self) -> None:
        """S14: contiguous to the end, told at most once that the stream cannot be resumed."""
        for reader in self.attached:
            reader.check()
            assert b"event: complete" in reader.terminal
            assert reader.notices <= 1
        assert max(self.waits) < ANSWERED, self.waits


async def under_load(fleet: Fleet, rng: random.Random, tokens: int, fault: Callable[[], Awaitable[None]]) -> Load:
    """Runs the fault while streams are under way; returns when all of them have ended."""
    load = Load()
    over = asyncio.Event()
    replicas = range(len(fleet.replicas))

    async def attached(reader: StreamReader, number: int, begun: asyncio.Event) -> None:
        prompt = f"outage {rng.random()}"
        async with fleet.start(number, prompt, max_tokens=tokens) as answer:
            assert answer.status == 200
            reader.stream_id = answer.stream_id
            begun.set()
            await reader.take(answer)

    async def elsewhere(reader: StreamReader, number: int) -> None:
        while not reader.ended:
            assert await reader.resume(fleet.url(number)) == 200
            if not reader.ended:
                await asyncio.sleep(0.05)  # a client's pause between two connections

    async def new_requests() -> None:
        while not over.is_set():
            began = asyncio.get_running_loop().time()
            body = {"model": "openai/ok", "prompt": f"new {rng.random()}", "max_tokens": 3}
            answer, told = await call(fleet.url(rng.choice(replicas)), "POST", "/v1/streams", body)
            assert answer.status == 200
            assert b"event: complete" in blocks(told)[-1], told
            load.waits.append(asyncio.get_running_loop().time() - began)

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(new_requests())
        readers: list[asyncio.Task[None]] = []
        for number in range(STREAMS):
            here, there, begun = StreamReader(), StreamReader(), asyncio.Event()
            readers.append(group.create_task(attached(here, number, begun)))
            await begun.wait()
            there.stream_id = here.stream_id
            readers.append(group.create_task(elsewhere(there, number + 1)))
            load.attached.append(here)
            load.elsewhere.append(there)
        await asyncio.sleep(rng.uniform(0.1, 0.6))
        await fault()
        await asyncio.gather(*readers)
        over.set()
        await asking
    return load


async def until_redis_serves(fleet: Fleet, seconds: float = 2.0) -> None:
    """Waits until every replica says that it is ready, and not degraded."""

    async def all_ready() -> bool:
        return all([(await replica.ready())["status"] == "ready" for replica in fleet.replicas])

    await eventually(all_ready, seconds)
