"""What only the stream log in memory promises: its bounds, who is evicted, and what it leaves behind."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.memory.manual_clock import ManualClock
from adapters.memory.stream import MAX_READ_BYTES, MemoryReader, MemoryStream
from adapters.memory.stream_log import MemoryStreamLog
from adapters.memory.stream_store import PURGE_AT_ONCE, STREAM_OVERHEAD, StreamStore
from domain.delta import Delta, ToolCallDelta
from domain.errors import AnswerTooLongError, StreamLogFullError, StreamNotResumableError
from domain.events import columns
from domain.model import Batch, Lease
from domain.weight import weight
from tests.contracts.events import END, append, deltas, follow, info, read_to_end, result, waiting_read

EVENT_OVERHEAD = weight(columns([Delta()]))
ONE = STREAM_OVERHEAD + EVENT_OVERHEAD + 1
"""The weight of a stream with one delta of one character."""


async def filled(log: MemoryStreamLog, name: str, *, closed: bool) -> Lease:
    lease = await log.open(info(name))
    await append(log, lease, [*deltas(1), END] if closed else deltas(1))
    return lease


async def kept(log: MemoryStreamLog, *names: str) -> list[str]:
    return [name for name in names if await log.follow(name) is not None]


async def test_the_streams_that_ended_first_make_room() -> None:
    clock = ManualClock()
    log = MemoryStreamLog(clock, max_bytes=3 * ONE)
    second = await filled(log, "second", closed=False)
    await filled(log, "first", closed=True)
    await append(log, second, [END])
    await filled(log, "open", closed=False)
    assert await kept(log, "first", "second", "open") == ["first", "second", "open"]
    await filled(log, "next", closed=True)
    assert await kept(log, "first", "second", "open", "next") == ["second", "open", "next"]


async def test_an_append_evicts_what_is_closed_and_then_is_full() -> None:
    clock = ManualClock()
    log = MemoryStreamLog(clock, max_bytes=3 * ONE)
    lease = await filled(log, "open", closed=False)
    await filled(log, "closed", closed=True)
    await append(log, lease, [Delta("x" * (ONE - EVENT_OVERHEAD))])
    assert await kept(log, "closed") == ["closed"]
    await append(log, lease, [Delta("y")])
    assert await kept(log, "closed") == []
    with pytest.raises(AnswerTooLongError) as caught:  # G11: no stream is longer than the whole log
        await append(log, lease, [Delta("z" * ONE)])
    assert (caught.value.retryable, caught.value.details) == (False, {"max_stream_bytes": 3 * ONE})
    with pytest.raises(StreamLogFullError) as full:
        await filled(log, "other", closed=False)
    assert (full.value.retryable, full.value.details) == (True, {"max_bytes": 3 * ONE})
    await append(log, lease, [END])
    assert len(await read_to_end(await follow(log, stream_id="open"))) == 4


async def test_open_streams_are_never_evicted_and_a_log_full_of_them_takes_no_more() -> None:
    clock = ManualClock()
    log = MemoryStreamLog(clock, max_bytes=2 * ONE)
    lease = await filled(log, "one", closed=False)
    await filled(log, "two", closed=False)
    with pytest.raises(StreamLogFullError):
        await log.open(info("three"))
    with pytest.raises(StreamLogFullError):
        await log.open_shared(info("three"), "key")
    await append(log, lease, [END])
    assert isinstance(await log.open_shared(info("three"), "key"), Lease)
    assert await kept(log, "one", "two", "three") == ["two", "three"]


async def test_a_reader_of_an_evicted_stream_comes_to_its_end() -> None:
    """S3: in memory nothing that is being read is lost."""
    clock = ManualClock()
    log = MemoryStreamLog(clock, max_bytes=ONE)
    await filled(log, "old", closed=True)
    reader = await follow(log, stream_id="old")
    await filled(log, "new", closed=True)
    assert await kept(log, "old") == []
    assert await read_to_end(reader) == [*deltas(1), END]


async def test_tool_calls_without_raw_bytes_have_weight() -> None:
    clock = ManualClock()
    log = MemoryStreamLog(clock, max_bytes=100 * ONE, max_stream_bytes=ONE + 1_000)
    lease = await filled(log, "one", closed=False)
    with pytest.raises(StreamLogFullError):
        await append(log, lease, [Delta(tool_calls=(ToolCallDelta(0, arguments="x" * 1_000),))])


async def test_expired_streams_are_let_go_when_others_open() -> None:
    """S13: some at each opening, so that none is felt."""
    clock = ManualClock()
    log = MemoryStreamLog(clock, 60.0, max_bytes=10_000 * ONE)
    for number in range(PURGE_AT_ONCE + 10):
        await filled(log, f"old-{number}", closed=True)
    await clock.advance(60.0)
    await log.open(info("one"))
    assert len(log._store._streams) == len(log._store._closed) + 1 == 11
    await log.open(info("two"))
    assert (list(log._store._streams), len(log._store._closed)) == (["one", "two"], 0)
    assert log._store._bytes == 2 * STREAM_OVERHEAD


async def test_readers_that_left_leave_nothing_in_the_stream() -> None:
    clock = ManualClock()
    log = MemoryStreamLog(clock, max_bytes=10 * ONE)
    await log.open(info("one"))
    stream = log._store._streams["one"]
    for leave in (MemoryReader.nudge, MemoryReader.close):
        reader = await log.follow("one")
        assert reader is not None
        waiting = await waiting_read(reader)
        assert len(stream.waiting) == 1
        leave(reader)
        assert await waiting is None
        assert not stream.waiting


async def test_a_cancelled_read_leaves_nothing_in_the_stream() -> None:
    clock = ManualClock()
    log = MemoryStreamLog(clock, max_bytes=10 * ONE)
    lease = await log.open(info("one"))
    waiting = await waiting_read(await follow(log, stream_id="one"))
    waiting.cancel()
    await append(log, lease, deltas(1))  # before the cancelled task has run
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not log._store._streams["one"].waiting


steps = st.tuples(
    st.sampled_from(["open", "append", "append", "end", "wait"]), st.integers(0, 9), st.integers(0, 3_000)
)


@given(history=st.lists(steps, max_size=60))
@settings(max_examples=150)
async def test_the_bound_holds_and_open_streams_stay_for_any_use(history: list[tuple[str, int, int]]) -> None:
    """S4: and each open stream can still be ended, with all that was accepted in it."""
    clock = ManualClock()
    log = MemoryStreamLog(clock, 10.0, max_bytes=6 * ONE, max_stream_bytes=3 * ONE)
    live: dict[str, tuple[Lease, list[Delta]]] = {}
    for number, (step, choice, size) in enumerate(history):
        name = sorted(live)[choice % len(live)] if live else ""
        try:
            if step == "open":
                live[f"s-{number}"] = await log.open(info(f"s-{number}")), []
            elif step == "append" and live:
                await append(log, live[name][0], [Delta("x" * size)])
                live[name][1].append(Delta("x" * size))
            elif step == "end" and live:
                await append(log, live.pop(name)[0], [END])
            elif step == "wait":
                await clock.advance(size / 1_000)
        except StreamLogFullError:
            assert log._store._bytes + max(EVENT_OVERHEAD + size, STREAM_OVERHEAD) > 3 * ONE
        assert log._store._bytes <= 6 * ONE
        assert log._store._bytes == sum(stream.size for stream in log._store._streams.values())
    for name, (lease, events) in live.items():
        await append(log, lease, [END])
        assert await read_to_end(await follow(log, stream_id=name)) == [*events, END]


async def test_more_than_one_read_takes_is_not_offered_but_read() -> None:
    log = MemoryStreamLog(ManualClock(), max_bytes=10**6)
    lease = await log.open(info())
    reader, offered = await follow(log), list[int]()

    def take(batch: Batch) -> bool:
        offered.append(len(batch.events))
        return True

    reading = await waiting_read(reader, take)
    log.append(lease, deltas(300))
    assert await result(reading) == Batch(0, deltas(256))
    assert await reader.read(take) == Batch(256, deltas(44, first=256))
    assert offered == []
    reading = await waiting_read(reader, take)
    log.append(lease, deltas(256, first=300))
    assert offered == [256]
    reader.close()
    assert await result(reading) is None


def test_a_stream_is_dropped_once() -> None:
    store = StreamStore[MemoryStream](ManualClock(), 1.0, 10**6, 10**6)
    stream = MemoryStream(info(), "key")
    store.add(stream)
    store.drop(stream)
    store.drop(stream)
    assert store.get(stream.info.stream_id) is store.holder("key") is None
    assert store.occupancy()["headgate_stream_log_bytes"]() == 0


async def test_a_reader_comes_to_the_end_of_what_is_here_and_is_told_that_the_rest_is_lost() -> None:
    """S5: a log that is a copy of another may lose it."""
    stream = MemoryStream(info(), None)
    stream.events.extend(deltas(2))
    reader = MemoryReader(stream, None)
    assert reader.resumable
    stream.lost = True
    assert await reader.read() == Batch(0, deltas(2))
    with pytest.raises(StreamNotResumableError):
        await reader.read()


async def test_a_large_event_is_come_for_by_each_reader_s11() -> None:
    """A reader's callback would encode all of it in the moment in which it is appended, and hold it."""
    log = MemoryStreamLog(ManualClock(), max_bytes=1 << 24)
    lease = await log.open(info())
    reader = await log.follow(info().stream_id)
    assert reader is not None
    taken: list[int] = []

    def take(batch: Batch) -> bool:
        taken.append(len(batch.events))
        return True

    for text in ("small", "x" * (MAX_READ_BYTES + 1), "small again"):
        reading = asyncio.create_task(reader.read(take))
        await asyncio.sleep(0)
        log.append(lease, [Delta(text)])
        if text == "small":
            assert taken == [1]
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            continue
        batch = await reading
        assert batch is not None
        assert [event.text for event in batch.events if isinstance(event, Delta)] == [text]
    assert taken == [1]
