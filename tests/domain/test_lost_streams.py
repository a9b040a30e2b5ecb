"""A log that fails, or gives the stream to somebody else, as a request begins or ends: nothing is kept of it."""

import asyncio
from collections.abc import Sequence

import pytest

from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.memory.stream_log import MemoryStreamLog
from domain.errors import StreamLogFullError, StreamNotResumableError
from domain.model import CacheStatus, Caller, Complete, Cost, Event, Lease, Outcome, Position, StreamInfo
from ports.stream_log import Reader
from tests.domain.parts import CALLER, House, ask, context


class LosesStreams(MemoryStreamLog):
    """A log that fails where a test says."""

    fails_at: str = ""

    async def open_shared(self, info: StreamInfo, key: str) -> Lease | StreamInfo:
        """The other replica was faster, or there is no room."""
        if self.fails_at == "open":
            raise StreamLogFullError("full")
        if self.fails_at == "joined":
            other = StreamInfo("s_other", "e", info.model, info.created, "t_other")
            self.append(await self.open(other), [Complete("stop", None, "m", "p/m")])
            return other
        return await super().open_shared(info, key)

    def append(self, lease: Lease, events: Sequence[Event]) -> None:
        """The stream is somebody else's by now."""
        if self.fails_at == "append":
            raise StreamNotResumableError("fenced")
        super().append(lease, events)

    async def follow(self, stream_id: str, after: Position | None = None) -> Reader | None:  # type: ignore[override]
        """It is lost."""
        return None if self.fails_at == "follow" else await super().follow(stream_id, after)


def losing(fails_at: str) -> House:
    clock = ManualClock()
    log = LosesStreams(clock, max_bytes=2**24)
    log.fails_at = fails_at
    return House(log=log, clock=clock, tokens_per_minute=1000)


class LeavesAtTheLast(MemoryLimiter):
    """The caller is gone in the moment in which its tokens go back."""

    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """It does not come to an end."""
        raise asyncio.CancelledError


async def test_who_leaves_while_it_gives_way_to_an_equal_request_is_recorded_once_q3() -> None:
    """And reads nothing any more."""
    house = losing("joined")
    house.limits = LeavesAtTheLast
    service = house.build()
    with pytest.raises(asyncio.CancelledError):
        await service.open(ask(), context())
    assert [record.outcome for record in house.recorder.records] == [Outcome.CANCELLED]
    assert len(house.slots) == 0


async def test_a_log_without_room_gives_everything_back() -> None:
    house = losing("open")
    service = house.build()
    for _ in range(3):
        with pytest.raises(StreamLogFullError):
            await service.open(ask(max_tokens=900), context())
    assert (len(house.slots), len(house.generations)) == (0, 0)
    left = (await house.limiter.admit(CALLER, Cost(0, 0))).requests
    assert left is not None
    assert left.remaining == left.limit  # L2


async def test_who_finds_an_open_stream_at_the_last_moment_joins_it_and_pays_no_tokens_c1_c3() -> None:
    house = losing("joined")
    service = house.build()
    attachment = await service.open(ask(max_tokens=900), context())
    assert (attachment.info.stream_id, attachment.cache) == ("s_other", CacheStatus.COALESCED)
    assert len(house.slots) == 0
    attachment.close()
    (record,) = house.recorder.records
    assert (record.cache, record.outcome) == (CacheStatus.COALESCED, Outcome.CANCELLED)
    attachment = await service.open(ask(max_tokens=900), context(lookup=False))
    await house.generations.aclose()


async def test_a_producer_that_was_fenced_still_settles_s8() -> None:
    house = losing("append")
    service = house.build()
    attachment = await service.open(ask(), context())
    await house.clock.advance(0)
    attachment.close()
    assert (len(house.slots), len(house.generations)) == (0, 0)
    assert [record.outcome for record in house.recorder.records] == [Outcome.LOST]


async def test_a_stream_that_is_lost_as_it_begins_is_told() -> None:
    house = losing("follow")
    service = house.build()
    with pytest.raises(StreamNotResumableError):
        await service.open(ask(), context())
    await house.clock.advance(0)
    await house.generations.aclose()
