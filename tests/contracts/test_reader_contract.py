"""The contract of the readers of a stream log, by examples: positions, waiting, nudges and the end."""

import asyncio

import pytest

from domain.model import Batch, Position
from tests.contracts.cases import OpenStreamLog
from tests.contracts.events import (
    DEADLINE,
    END,
    EPOCH,
    append,
    deltas,
    follow,
    info,
    read,
    read_to_end,
    result,
    waiting_read,
)
from tests.service import until


async def test_a_resume_goes_on_after_its_position(open_stream_log: OpenStreamLog) -> None:
    """S3."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, [*deltas(5), END])
        reader = await follow(log, Position(EPOCH, 2))
        assert (reader.reset, reader.ended) == (False, False)
        assert await reader.read() == Batch(3, [*deltas(2, first=3), END])


async def test_a_resume_at_the_last_event_of_an_open_stream_waits_for_the_next(open_stream_log: OpenStreamLog) -> None:
    """S3."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, deltas(3))
        reader = await follow(log, Position(EPOCH, 2))
        assert (reader.reset, reader.ended) == (False, False)
        waiting = await waiting_read(reader)
        await append(log, lease, [END])
        assert await result(waiting) == Batch(3, [END])
        assert reader.ended


async def test_a_resume_at_the_terminal_event_has_nothing_left_to_read(open_stream_log: OpenStreamLog) -> None:
    """S4."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, [*deltas(2), END])
        reader = await follow(log, Position(EPOCH, 2))
        assert (reader.reset, reader.ended) == (False, True)


@pytest.mark.parametrize(
    "position",
    [Position("other", 0), Position("other", 1), Position(EPOCH, 3), Position(EPOCH, 10**11), Position("other", 3)],
)
@pytest.mark.parametrize("closed", [True, False])
async def test_a_position_that_is_not_of_this_log_gets_a_reset_and_the_whole(
    open_stream_log: OpenStreamLog, position: Position, closed: bool
) -> None:
    """S5: never a silent gap."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, [*deltas(2), END] if closed else deltas(3))
        reader = await follow(log, position)
        assert (reader.reset, reader.ended) == (True, False)
        assert await reader.read() == Batch(0, [*deltas(2), END] if closed else deltas(3))


async def test_any_position_in_a_stream_without_events_gets_a_reset(open_stream_log: OpenStreamLog) -> None:
    """S5."""
    async with open_stream_log() as (log, _):
        await log.open(info())
        assert (await follow(log, Position(EPOCH, 0))).reset
        assert not (await follow(log)).reset


async def test_ended_is_true_once_the_terminal_event_was_returned(open_stream_log: OpenStreamLog) -> None:
    """S4: not when it was written."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader = await follow(log)
        await append(log, lease, deltas(256))
        await append(log, lease, [END])
        assert list(await read(reader)) == deltas(256)
        assert not reader.ended
        assert list(await read(reader)) == [END]
        assert reader.ended


async def test_a_read_after_the_end_waits_for_nothing(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, [END])
        reader = await follow(log)
        await read(reader)
        async with asyncio.timeout(DEADLINE):
            assert await reader.read() is None


async def test_every_waiting_reader_is_woken_by_an_append(open_stream_log: OpenStreamLog) -> None:
    """S2."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        waiting = [await waiting_read(await follow(log)) for _ in range(20)]
        await append(log, lease, deltas(2))
        assert [await result(one) for one in waiting] == [Batch(0, deltas(2))] * 20


async def test_what_a_woken_reader_sees_is_in_the_log(open_stream_log: OpenStreamLog) -> None:
    """S2: an event is in the log before any reader sees it; appends before it runs come in one batch."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        waiting = await waiting_read(await follow(log))
        await append(log, lease, deltas(1))
        first = await result(waiting)
        assert isinstance(first, Batch)
        assert await (await follow(log)).read() == first


async def test_a_slow_reader_holds_up_nobody(open_stream_log: OpenStreamLog) -> None:
    """S11."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        slow, quick = await follow(log), await follow(log)
        for number in range(10):
            await append(log, lease, deltas(1, first=number))
            assert list(await read(quick)) == deltas(1, first=number)
        assert list(await read(slow)) == deltas(10)


async def test_what_comes_while_a_read_waits_is_offered_first(open_stream_log: OpenStreamLog) -> None:
    """What is taken is not returned; the last batch is returned, not offered."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader, offered = await follow(log), list[Batch]()

        def take(batch: Batch) -> bool:
            offered.append(batch)
            return True

        reading = await waiting_read(reader, take)
        await append(log, lease, deltas(2))
        await until(lambda: len(offered) == 1)
        await append(log, lease, deltas(3, first=2))
        await until(lambda: len(offered) == 2)
        await append(log, lease, [*deltas(1, first=5), END])
        assert await result(reading) == Batch(5, [*deltas(1, first=5), END])
        assert reader.ended
        assert offered == [Batch(0, deltas(2)), Batch(2, deltas(3, first=2))]


async def test_what_is_declined_is_returned(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader = await follow(log)
        reading = await waiting_read(reader, lambda _: False)
        await append(log, lease, deltas(2))
        assert await result(reading) == Batch(0, deltas(2))
        waiting = await waiting_read(reader)
        reader.nudge()
        assert await result(waiting) is None


async def test_a_nudge_ends_a_read_whose_batches_are_taken(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader, taken = await follow(log), asyncio.Event()

        def take(_: Batch) -> bool:
            taken.set()
            return True

        reading = await waiting_read(reader, take)
        await append(log, lease, deltas(2))
        async with asyncio.timeout(DEADLINE):
            await taken.wait()
        reader.nudge()
        assert await result(reading) is None


async def test_a_nudge_makes_a_waiting_read_return_none(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        nudged, other = await follow(log), await follow(log)
        first, second = await waiting_read(nudged), await waiting_read(other)
        nudged.nudge()
        assert await result(first) is None
        assert not second.done()
        assert not nudged.ended
        await append(log, lease, deltas(1))
        assert await result(second) == Batch(0, deltas(1))
        assert await nudged.read() == Batch(0, deltas(1))


async def test_a_nudge_between_two_reads_is_not_lost_and_counts_once(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader = await follow(log)
        reader.nudge()
        reader.nudge()
        async with asyncio.timeout(DEADLINE):
            assert await reader.read() is None
        waiting = await waiting_read(reader)
        await append(log, lease, deltas(1))
        assert await result(waiting) == Batch(0, deltas(1))


async def test_events_come_before_a_nudge(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader = await follow(log)
        waiting = await waiting_read(reader)
        await append(log, lease, deltas(1))
        await read(await follow(log))
        reader.nudge()
        assert await result(waiting) == Batch(0, deltas(1))
        async with asyncio.timeout(DEADLINE):
            assert await reader.read() is None


async def test_close_ends_a_waiting_read_and_is_idempotent(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader = await follow(log)
        waiting = await waiting_read(reader)
        reader.close()
        reader.close()
        assert await result(waiting) is None
        await append(log, lease, [END])
        async with asyncio.timeout(DEADLINE):
            assert await reader.read() is None
        assert await read_to_end(await follow(log)) == [END]


async def test_a_reader_can_be_closed_after_its_end(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, [END])
        reader = await follow(log)
        await read(reader)
        reader.close()
        assert reader.ended


async def test_a_cancelled_read_loses_no_event(open_stream_log: OpenStreamLog) -> None:
    """S3."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader = await follow(log)
        waiting = await waiting_read(reader)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await append(log, lease, deltas(2))
        assert await reader.read() == Batch(0, deltas(2))


async def test_a_reader_that_follows_goes_on_past_the_retention(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log(retention=60.0) as (log, advance):
        lease = await log.open(info())
        await append(log, lease, [*deltas(300), END])
        reader = await follow(log)
        await read(reader)
        await advance(59.0)
        assert await read_to_end(reader) == [*deltas(44, first=256), END]
