"""Streams and events for the stream log's suites, and a way to read all of one."""

import asyncio
from collections.abc import Callable, Sequence

from domain.delta import Delta
from domain.events import Answer
from domain.model import Batch, Complete, Event, Lease, Position, StreamInfo
from ports.stream_log import Reader, StreamLog

EPOCH = "k3x9q2"
END = Complete("stop", None, "m", "p/m")
DEADLINE = 5.0


def info(stream_id: str = "s-1", epoch: str = EPOCH) -> StreamInfo:
    return StreamInfo(stream_id, epoch, "fast", 1_700_000_000, "thread-1")


def deltas(count: int, first: int = 0) -> list[Event]:
    return [Delta(text=str(number)) for number in range(first, first + count)]


async def append(log: StreamLog, lease: Lease, events: Sequence[Event]) -> None:
    """Appends, and waits until that is in the log."""
    log.append(lease, events)
    await log.settle(lease)


async def follow(log: StreamLog, after: Position | None = None, stream_id: str = "s-1") -> Reader:
    reader = await log.follow(stream_id, after)
    assert reader is not None
    return reader


async def read(reader: Reader) -> Sequence[Event]:
    """One read that must bring something, soon, from where the last one ended."""
    async with asyncio.timeout(DEADLINE):
        batch = await reader.read()
    assert batch is not None
    assert 0 < len(batch.events) <= 256 or isinstance(batch.events, Answer)
    return batch.events


async def read_to_end(reader: Reader) -> list[Event]:
    events: list[Event] = []
    while not reader.ended:
        events += await read(reader)
    return events


async def waiting_read(reader: Reader, take: Callable[[Batch], bool] | None = None) -> "asyncio.Task[object]":
    """A read that has begun to wait."""
    task: asyncio.Task[object] = asyncio.create_task(reader.read(take))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def result(task: "asyncio.Task[object]") -> object:
    async with asyncio.timeout(DEADLINE):
        return await task
