"""The walls around a generation: a port that never raises, raises; the answer and its end are there (G1)."""

from collections.abc import Sequence

from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.memory.cache import MemoryCache
from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from adapters.memory.recorder import MemoryRecorder
from adapters.memory.stream_log import MemoryStreamLog
from adapters.providers.demo_scripts import Script, text_pieces
from domain.events import Answer
from domain.model import (
    BreakerState,
    CacheStatus,
    Caller,
    Complete,
    Event,
    Failed,
    Lease,
    RequestRecord,
    Status,
)
from domain.services.admission import Ticket
from domain.services.streams import Attachment
from ports.defects import Where
from tests.domain.fake_fleet import FakeFleet
from tests.domain.parts import TEXT, House, ask, context, read_all
from tests.domain.planted import Planted, plant, plant_later


class Closed(MemoryRecorder):
    """Its disk is full."""

    def record(self, record: RequestRecord) -> None:
        super().record(record)
        raise Planted


async def test_a_record_that_cannot_be_kept_costs_no_answer_g1() -> None:
    house = House(recorders=Closed)
    service = house.build()
    first = await service.open(ask(), context("t1"))
    joiner = await service.open(ask(), context("t2"))
    for attachment in (first, joiner):
        assert isinstance((await read_all(attachment))[-1], Complete)
        attachment.close()
    await house.clock.advance(0)
    hit = await service.open(ask(), context("t3"))
    assert isinstance((await read_all(hit))[-1], Complete)
    assert hit.cache is CacheStatus.HIT_L1
    assert house.defects.places == [Where.RECORDER] * 3
    assert (len(house.generations), len(house.slots)) == (0, 0)


class BadLimits(MemoryLimiter):
    """Cannot settle."""

    async def settle(self, caller: Caller, reserved: int, used: int) -> None:
        raise Planted


async def test_a_settlement_that_fails_costs_neither_the_end_nor_the_record_g1() -> None:
    house = House(limits=BadLimits)
    attachment = await house.build().open(ask(), context())
    assert isinstance((await read_all(attachment))[-1], Complete)
    attachment.close()
    await house.clock.advance(0)
    assert house.defects.places == [Where.LIMITER]
    assert len(house.recorder.records) == 1
    assert (len(house.generations), len(house.slots)) == (0, 0)


class BadCache(MemoryCache):
    """Neither gives nor takes."""

    def __init__(self) -> None:
        super().__init__(ManualClock(), max_bytes=1, max_entries=1, max_entry_bytes=1)

    async def get(self, key: str) -> Answer | None:
        raise Planted

    async def put(self, key: str, answer: Answer, ttl: float) -> bool:
        raise Planted


async def test_a_cache_with_a_defect_is_a_miss_k5_g1() -> None:
    house = House(l2=BadCache())
    attachment = await house.build().open(ask(), context())
    assert isinstance((await read_all(attachment))[-1], Complete)
    attachment.close()
    assert house.defects.places == [Where.CACHE] * 2


class BadBoard(MemoryBreakerBoard):
    """Raises once it is `bad`."""

    bad = False
    deaf = False

    def state(self, target: str) -> BreakerState | None:
        if self.bad:
            raise Planted
        return super().state(target)

    async def release_probe(self, target: str, holder: str) -> None:
        if self.deaf:
            raise Planted


async def test_a_board_with_a_defect_shuts_nobody_out_and_takes_no_answer_b6_g1() -> None:
    house = House(boards=BadBoard)
    service = house.build()
    assert isinstance(house.board, BadBoard)
    house.board.bad = True
    assert await house.breakers.admit("p/ok", "h")
    assert house.defects.places == [Where.BREAKERS]
    await house.breakers.succeeded("p/ok", "h")
    assert await house.breakers.admit("p/ok", "h")
    await house.breakers.failed("p/ok", "h")
    assert house.defects.places == [Where.BREAKERS] * 4
    attachment = await service.open(ask(), context())
    assert isinstance((await read_all(attachment))[-1], Complete)
    attachment.close()


async def test_a_probe_that_cannot_be_given_back_is_reported_b6_g1() -> None:
    house = House(boards=BadBoard)
    house.build()
    assert isinstance(house.board, BadBoard)
    await house.board.publish("p/ok", BreakerState(house.clock.monotonic() - 1.0, 1))
    assert await house.breakers.admit("p/ok", "h")
    house.board.deaf = True
    await house.breakers.abandoned("p/ok", "h")
    assert house.defects.places == [Where.BREAKERS]


async def test_what_the_first_event_sets_off_costs_no_answer_g1() -> None:
    """A breaker, a permit: the answer is there all the same."""
    house = House(scripts={"slow": Script(text_pieces(TEXT), first_delay=1.0)})
    attachment = await house.build().open(ask("p/slow"), context())
    await house.clock.advance(0)
    (generation,) = house.generations._running.values()
    began = list[float]()
    generation.progress.began[:0] = [plant, began.append]
    await house.clock.advance(1.0)
    assert isinstance((await read_all(attachment))[-1], Complete)
    assert len(began) == 1
    assert house.defects.places == [Where.GENERATION]
    attachment.close()


class OneBadStream(MemoryStreamLog):
    """One stream cannot be told where it stands."""

    bad = ""

    def append(self, lease: Lease, events: Sequence[Event]) -> None:
        if lease.stream_id == self.bad and isinstance(events[0], Status):
            raise Planted
        super().append(lease, events)


async def test_who_gives_a_permit_back_does_not_pay_for_who_waits_q5_g1() -> None:
    clock = ManualClock()
    log = OneBadStream(clock, max_bytes=2**24)
    slow = Script(text_pieces(TEXT), first_delay=3.0)
    house = House(scripts={"slow": slow}, permits=1, log=log, clock=clock)
    service = house.build()
    attachments = []
    for number in range(4):
        attachments.append(await service.open(ask("p/slow"), context(f"t{number}", lookup=False, store=False)))
        await clock.advance(0)
    log.bad = attachments[2].info.stream_id
    await house.pass_time(4)
    log.bad = ""
    await house.pass_time(30)
    ends = [(await read_all(attachment))[-1] for attachment in attachments]
    assert house.defects.places == [Where.PERMITS]
    assert all(isinstance(end, Complete) for end in ends)
    for attachment in attachments:
        attachment.close()


async def test_a_connection_that_ends_is_told_to_the_work_whatever_else_fails_s7_g1() -> None:
    house = House(scripts={"stalls": Script(text_pieces(TEXT), stall_at=1)})
    attachment = await house.build().open(ask("p/stalls"), context())
    await house.clock.advance(0)
    reader, attachment.reader = attachment.reader, BadReader()  # type: ignore[assignment]
    attachment.on_close = plant
    attachment.close()
    attachment.close()
    await house.clock.advance(0)
    assert house.defects.places == [Where.ATTACHMENT] * 3  # the reader is closed again
    assert (len(house.generations), house.demo.open) == (0, 0)
    reader.close()


class BadReader:
    """Does not close."""

    close = plant


async def test_a_work_that_cannot_be_told_that_its_reader_left_fails_no_response_g1() -> None:
    house = House()
    service = house.build()
    attachment = await service.open(ask(), context())
    assert isinstance(attachment, Attachment)
    assert attachment.generation is not None
    attachment.generation.orphaned = plant
    attachment.generation.grace = 0
    attachment.close()
    await house.clock.advance(0)
    assert house.defects.places == [Where.ATTACHMENT]


class BadFleet(FakeFleet):
    """Cannot be asked."""

    async def read_elsewhere(self, stream_id: str) -> bool:
        raise Planted


async def test_a_question_to_the_fleet_with_a_defect_is_reported_c2_g1() -> None:
    house = House(scripts={"stalls": Script(text_pieces(TEXT), stall_at=1)}, fleet=BadFleet())
    attachment = await house.build().open(ask("p/stalls"), context())
    await house.clock.advance(0)
    attachment.close()
    await house.clock.advance(0)
    assert house.defects.places == [Where.GENERATION]
    await house.generations.aclose()
    assert len(house.generations) == 0


async def test_what_the_end_of_a_generation_meets_is_reported_and_its_slot_comes_back_l6_g1() -> None:
    house = House()
    service = house.build()
    attachment = await service.open(ask(), context())
    leave, left = house.admission.leave, list[Ticket]()

    async def leaves(ticket: Ticket) -> None:
        left.append(ticket)
        await leave(ticket)
        raise Planted

    house.admission.leave = leaves  # type: ignore[method-assign]
    house.the_log.settle = plant_later  # type: ignore[method-assign,assignment]
    await read_all(attachment)
    attachment.close()
    await house.clock.advance(0)
    assert house.defects.places == [Where.GENERATION, Where.ADMISSION]
    assert (len(left), len(house.generations), len(house.slots)) == (1, 0, 0)


async def test_a_dead_letter_that_cannot_be_kept_costs_no_record_q7_g1() -> None:
    house = House(scripts={"slow": Script(text_pieces(TEXT), first_delay=5.0)}, slots_in_all=1)
    service = house.build()
    holder = await service.open(ask("p/slow"), context("t1"))
    waits = await service.open(ask("p/ok"), context("t2"))
    house.dead_letters.bury = plant_later  # type: ignore[method-assign,assignment]
    house.generations._attempts.run = plant_later  # type: ignore[method-assign,assignment]
    await house.pass_time(6)
    assert isinstance((await read_all(waits))[-1], Failed)
    assert house.defects.places == [Where.GENERATION, Where.DEAD_LETTERS]
    assert len(house.recorder.records) == 2
    for attachment in (holder, waits):
        attachment.close()
