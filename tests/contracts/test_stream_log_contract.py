"""The contract of the stream log port, by examples: what is written, kept, bounded and shared."""

import asyncio
from typing import cast

import pytest

from domain.delta import Delta
from domain.errors import AnswerTooLongError, StreamLogFullError, StreamNotResumableError
from domain.events import Answer, columns
from domain.model import Batch, Cancelled, Complete, Event, Failed, Lease, Position, Status, StatusState, StreamInfo
from domain.weight import weight
from ports.stream_log import StreamLog
from tests.contracts.cases import OpenStreamLog
from tests.contracts.events import END, EPOCH, append, deltas, follow, info, read, read_to_end

FAILED = Failed("stream_log_full", "The stream is longer than it may be.", retryable=True)
TERMINALS: list[Event] = [END, FAILED, Cancelled("requested")]


async def fill(log: StreamLog, lease: Lease) -> list[Event]:
    """Appends until nothing fits any more; what did."""
    for number in range(1_000):
        try:
            await append(log, lease, deltas(1, first=number))
        except StreamLogFullError:
            return deltas(number)
    raise AssertionError("the stream is never full")


async def test_what_was_appended_is_read_in_order_from_seq_0(open_stream_log: OpenStreamLog) -> None:
    """S1: seq is contiguous from 0."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, [Status(StatusState.QUEUED, 2), Delta("a", b'{"x":"\\u2028"}', reasoning="why")])
        await append(log, lease, [Delta("b\u2028\x00\ud800"), END])
        reader = await follow(log)
        assert (reader.info, reader.reset, reader.ended) == (info(), False, False)
        assert await reader.read() == Batch(
            0,
            [
                Status(StatusState.QUEUED, 2),
                Delta("a", b'{"x":"\\u2028"}', reasoning="why"),
                Delta("b\u2028\x00\ud800"),
                END,
            ],
        )
        assert reader.ended


async def test_a_batch_says_the_seq_of_its_first_event(open_stream_log: OpenStreamLog) -> None:
    """S1."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader = await follow(log)
        await append(log, lease, deltas(3))
        assert await reader.read() == Batch(0, deltas(3))
        await append(log, lease, deltas(2, first=3))
        assert await reader.read() == Batch(3, deltas(2, first=3))


async def test_a_read_brings_256_events_at_most(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, [*deltas(600), END])
        reader = await follow(log)
        batches = [await reader.read() for _ in range(3)]
        assert [(batch.first, len(batch.events)) for batch in batches if batch] == [(0, 256), (256, 256), (512, 89)]


async def test_a_read_brings_256_kib_at_most_or_one_event_s11(open_stream_log: OpenStreamLog) -> None:
    """Else a reader that is late to a stream of large events, and takes nothing, would hold all of them."""
    large, larger = Delta("x" * 10_000), Delta("x" * 300_000)
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        whole: list[Event] = [*deltas(600), *[large] * 100, larger, large, END]
        for begin in range(0, len(whole), 50):
            await append(log, lease, whole[begin : begin + 50])
        reader, got = await follow(log), list[Event]()
        while not reader.ended:
            events = await read(reader)
            assert len(events) == 1 or sum(len(event.text) for event in events if isinstance(event, Delta)) <= 1 << 18
            got += events
        assert got == whole
        assert reader.ended


@pytest.mark.parametrize("count", [1, 100, 600, 3_000])
async def test_an_answer_is_replayed_any_number_of_times_and_stays_as_it_is_k3(
    open_stream_log: OpenStreamLog, count: int
) -> None:
    def fresh() -> Answer:
        events = cast("list[Delta | Complete]", [*deltas(count), END])
        return Answer(events, weight(columns(events)))

    async with open_stream_log() as (log, _):
        answer = fresh()
        for number in range(3):
            lease = await log.open(info(f"s-{number}"))
            early = await follow(log, stream_id=f"s-{number}")
            await append(log, lease, answer)
            for reader in (early, await follow(log, stream_id=f"s-{number}")):
                assert await read_to_end(reader) == [*deltas(count), END]
            last = await follow(log, Position(EPOCH, count - 1), f"s-{number}")
            assert await read_to_end(last) == [END]
            with pytest.raises(StreamNotResumableError):
                await append(log, lease, deltas(1))
        assert answer == fresh()


async def test_an_answer_behind_other_events_is_appended_like_any(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease, answer = await log.open(info()), Answer([Delta("1"), Delta("2"), END], 500)
        await append(log, lease, deltas(1))
        await append(log, lease, answer)
        assert await read_to_end(await follow(log)) == [*deltas(3), END]
        assert answer == [*deltas(2, first=1), END]


async def test_the_lease_is_that_of_the_stream(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        assert lease.stream_id == "s-1"
        await append(log, lease, deltas(1))
        with pytest.raises(StreamNotResumableError):
            await append(log, Lease("s-1", lease.fence - 1), deltas(1, first=1))
        with pytest.raises(StreamNotResumableError):
            await append(log, Lease("unknown", lease.fence), deltas(1))
        await append(log, lease, [END])
        assert await read_to_end(await follow(log)) == [*deltas(1), END]


async def test_streams_do_not_mix(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        one, two = await log.open(info("one")), await log.open(info("two"))
        await append(log, one, [*deltas(2), END])
        await append(log, two, [*deltas(3, first=10), END])
        assert await read_to_end(await follow(log, stream_id="one")) == [*deltas(2), END]
        assert await read_to_end(await follow(log, stream_id="two")) == [*deltas(3, first=10), END]


async def test_the_caller_s_list_is_copied(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease, events = await log.open(info()), deltas(2)
        reader = await follow(log)
        await append(log, lease, events)
        events.clear()
        assert list(await read(reader)) == deltas(2)


async def test_appending_nothing_is_nothing(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, [])
        await append(log, lease, [END])
        assert await read_to_end(await follow(log)) == [END]


@pytest.mark.parametrize("terminal", TERMINALS)
async def test_nothing_follows_a_terminal_event(open_stream_log: OpenStreamLog, terminal: Event) -> None:
    """S4; S2: the terminal event and the closed mark are one step."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        reader = await follow(log)
        await append(log, lease, [*deltas(1), terminal])
        for event in [*deltas(1), *TERMINALS]:
            with pytest.raises(StreamNotResumableError):
                await append(log, lease, [event])
        assert await read_to_end(reader) == [*deltas(1), terminal]


async def test_a_stream_id_is_never_used_again(open_stream_log: OpenStreamLog) -> None:
    """S1."""
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        await append(log, lease, [*deltas(1), END])
        with pytest.raises(ValueError, match="never used again"):
            await log.open(info(epoch="other"))
        assert await read_to_end(await follow(log)) == [*deltas(1), END]


async def test_there_is_no_reader_of_a_stream_that_never_was(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        assert await log.follow("unknown") is None
        assert await log.follow("unknown", Position("k3x9q2", 0)) is None


async def test_a_closed_stream_is_kept_for_the_retention_after_its_end_and_no_longer(
    open_stream_log: OpenStreamLog,
) -> None:
    """S13."""
    async with open_stream_log(retention=60.0) as (log, advance):
        lease = await log.open(info())
        await advance(100.0)  # an open stream does not expire
        await append(log, lease, [*deltas(1), END])
        await advance(59.0)
        assert await read_to_end(await follow(log)) == [*deltas(1), END]
        await advance(1.0)
        assert await log.follow("s-1") is None
        await log.open(info("next"))
        assert await log.follow("s-1") is None
        assert await log.follow("next") is not None


async def test_a_stream_that_is_too_long_is_full_and_nothing_was_stored_of_what_did_not_fit(
    open_stream_log: OpenStreamLog,
) -> None:
    async with open_stream_log(max_stream_bytes=20_000) as (log, _):
        lease = await log.open(info())
        await append(log, lease, deltas(1))
        for huge in (Delta("x" * 20_000), Delta(raw=b"x" * 20_000), Delta(reasoning="x" * 20_000)):
            with pytest.raises(AnswerTooLongError):  # G11
                await append(log, lease, [Delta("small"), huge])
        with pytest.raises(StreamLogFullError):
            await append(log, lease, [Status(StatusState.QUEUED, 1)] * 1_000)
        await append(log, lease, deltas(1, first=1))
        await append(log, lease, [END])
        assert await read_to_end(await follow(log)) == [*deltas(2), END]


async def test_a_terminal_event_always_fits(open_stream_log: OpenStreamLog) -> None:
    """S4: a stream that is full still has an end."""
    async with open_stream_log(max_stream_bytes=20_000) as (log, _):
        lease = await log.open(info())
        fitted = await fill(log, lease)
        await append(log, lease, [FAILED])
        assert await read_to_end(await follow(log)) == [*fitted, FAILED]


async def test_a_key_leads_to_the_open_stream_that_holds_it(open_stream_log: OpenStreamLog) -> None:
    """C1."""
    async with open_stream_log() as (log, _):
        lease = await log.open_shared(info("first"), "key")
        assert isinstance(lease, Lease)
        assert lease.stream_id == "first"
        assert await log.open_shared(info("second"), "key") == info("first")
        assert await log.follow("second") is None
        assert isinstance(await log.open_shared(info("third"), "other key"), Lease)


@pytest.mark.parametrize("terminal", TERMINALS)
async def test_a_key_is_free_again_when_its_stream_ends(open_stream_log: OpenStreamLog, terminal: Event) -> None:
    """C4: nobody joins an end that failed; a complete answer may be joined for a moment more."""
    async with open_stream_log() as (log, advance):
        lease = await log.open_shared(info("first"), "key")
        assert isinstance(lease, Lease)
        await append(log, lease, [terminal])
        if terminal is END:
            await advance(2.0)
        assert isinstance(await log.open_shared(info("second"), "key"), Lease)
        assert await log.open_shared(info("third"), "key") == info("second")


async def test_a_stream_without_a_key_is_found_by_nobody(open_stream_log: OpenStreamLog) -> None:
    async with open_stream_log() as (log, _):
        await log.open(info("first"))
        assert isinstance(await log.open_shared(info("second"), "key"), Lease)
        assert isinstance(await log.open(info("third")), Lease)


async def test_of_many_at_once_one_begins_the_stream(open_stream_log: OpenStreamLog) -> None:
    """C1: the claim and the look-up are one step."""
    async with open_stream_log() as (log, _):
        opened = await asyncio.gather(*(log.open_shared(info(f"s-{number}"), "key") for number in range(50)))
        leases = [one for one in opened if isinstance(one, Lease)]
        assert len(leases) == 1
        assert {one.stream_id for one in opened if isinstance(one, StreamInfo)} == {leases[0].stream_id}
