"""What a reader's callback raises ends that reader alone: the wall of every stream log (G1)."""

import asyncio

import pytest

from domain.errors import ReaderDefectError
from domain.model import Batch
from tests.contracts.cases import OpenStreamLog
from tests.contracts.events import END, append, deltas, follow, read_to_end, result, waiting_read
from tests.contracts.events import info as stream


@pytest.mark.parametrize("kind", [RuntimeError, OSError, asyncio.CancelledError])
async def test_a_callback_that_raises_ends_its_reader_and_nobody_else_g1(
    open_stream_log: OpenStreamLog, kind: type[BaseException]
) -> None:
    taken: list[Batch] = []

    def raises(batch: Batch) -> bool:
        taken.append(batch)
        raise kind("the transport is closed")

    def takes(batch: Batch) -> bool:
        taken.append(batch)
        return True

    async with open_stream_log() as (log, _):
        lease = await log.open(stream())
        other = await log.open(stream("s-2"))
        readers = [await follow(log), await follow(log), await follow(log)]
        before, hurt, behind = [
            await waiting_read(reader, take) for reader, take in zip(readers, (takes, raises, takes), strict=True)
        ]
        await append(log, lease, deltas(1))  # the producer hears nothing of it
        with pytest.raises(ReaderDefectError) as ended:
            await result(hurt)
        assert type(ended.value.__cause__) is kind
        assert ended.value.thread_id == "thread-1"
        assert len(taken) == 3
        await append(log, lease, deltas(1, first=1))
        assert len(taken) == 5
        await append(log, lease, [END])
        await append(log, other, [*deltas(1), END])
        for reading in (before, behind):
            assert await result(reading) is not None
        assert await read_to_end(await follow(log)) == [*deltas(2), END]
        assert await read_to_end(await follow(log, stream_id="s-2")) == [*deltas(1), END]
        with pytest.raises(ReaderDefectError):
            await asyncio.wait_for(readers[1].read(), 5)
