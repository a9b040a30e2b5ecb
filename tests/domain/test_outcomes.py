"""Requests that get no stream: each has one record all the same, and its tokens back (Q3, L4)."""

import asyncio

import pytest

from adapters.memory.limiter import MemoryLimiter
from adapters.memory.queue import MemoryMessageQueue
from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import (
    QueueFullError,
    RateLimitExceededError,
    ServerDrainingError,
    StreamLogFullError,
    StreamNotResumableError,
)
from domain.jobs import QueueMessage
from domain.model import Cost, Outcome
from tests.domain.parts import CALLER, TEXT, House, ask, context
from tests.domain.test_lost_streams import losing

SLOW = {"slow": Script(text_pieces(TEXT), delay=9.0)}


def of(house: House) -> list[tuple[str, Outcome, str | None]]:
    return [(record.thread_id, record.outcome, record.code) for record in house.recorder.records]


async def test_there_is_no_room_in_the_log_q3() -> None:
    house = losing("open")
    service = house.build()
    for _ in range(3):
        with pytest.raises(StreamLogFullError):
            await service.open(ask(max_tokens=900), context())
    assert of(house) == [("t", Outcome.REJECTED_FULL, "stream_log_full")] * 3


async def test_the_replica_drains_q3_s12() -> None:
    house = House()
    service = house.build()
    service.drain()
    with pytest.raises(ServerDrainingError):
        await service.open(ask(), context())
    assert of(house) == [("t", Outcome.REJECTED_FULL, "server_draining")]


async def test_over_the_limit_and_the_queue_full_q3() -> None:
    house = House(scripts=SLOW, slots_in_all=1, queue=MemoryMessageQueue(1, 1), tokens_per_minute=10_000)
    service = house.build()
    for number in range(2):
        await service.open(ask("p/slow", str(number), max_tokens=1), context("t0"))
    with pytest.raises(QueueFullError):
        await service.open(ask("p/slow", max_tokens=1), context("full"))
    with pytest.raises(RateLimitExceededError):
        await service.open(ask("p/slow", max_tokens=9_999), context("much"))
    assert of(house) == [
        ("full", Outcome.REJECTED_FULL, "queue_full"),
        ("much", Outcome.REJECTED_RATE, "rate_limit_exceeded"),
    ]
    await house.generations.aclose()
    assert len(house.recorder.records) == 4


async def test_a_stream_that_is_lost_as_it_begins_is_recorded_by_who_fills_it_q3() -> None:
    house = losing("follow")
    service = house.build()
    with pytest.raises(StreamNotResumableError):
        await service.open(ask(), context())
    await house.clock.advance(0)
    assert of(house) == [("t", Outcome.SERVED, None)]


class Stuck(MemoryMessageQueue):
    """A line that is asked for a place and says nothing; or one with a defect."""

    defect = False

    async def put(self, message: QueueMessage) -> int | None:
        if self.defect:
            raise ZeroDivisionError
        await asyncio.Event().wait()
        return None


@pytest.mark.parametrize("defect", [False, True])
async def test_the_client_leaves_or_we_fail_on_the_way_into_the_line_q3_l4(defect: bool) -> None:
    queue = Stuck(10, 10)
    house = House(scripts=SLOW, slots_in_all=1, queue=queue, tokens_per_minute=10_000)
    service = house.build()
    holder = await service.open(ask("p/slow", max_tokens=1), context("t0"))
    await house.clock.advance(0)
    queue.defect = defect
    opening = asyncio.create_task(service.open(ask("p/slow", "x", max_tokens=9_000), context("t1")))
    await house.clock.advance(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert of(house) == [("t1", Outcome.FAILED if defect else Outcome.CANCELLED, None)]
    limiter = house.admission._limiter
    assert isinstance(limiter, MemoryLimiter)
    assert (await limiter.admit(CALLER, Cost(tokens=9_000))).admitted
    holder.close()
    await house.generations.aclose()
    assert len(house.slots) == 0
