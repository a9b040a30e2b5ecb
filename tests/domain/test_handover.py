"""Requests that waited in one process and are served by another, as both see it (Q7)."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.stream_log import MemoryStreamLog
from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import ProviderUnavailableError, QueueError, QueueFullError, StreamNotResumableError
from domain.jobs import DeadLetter, Job, QueueMessage
from domain.model import (
    Caller,
    Cancelled,
    Complete,
    Event,
    Failed,
    Lease,
    Outcome,
    Status,
    StatusState,
    StreamInfo,
    Tier,
)
from domain.services.replay import Replay
from domain.services.stream_ids import StreamIds
from domain.services.streams import StreamService
from ports.fleet import FleetEvent
from tests.domain.fake_fleet import FakeFleet
from tests.domain.parts import CALLER, TEXT, House, ask, context, read_all

SCRIPTS = {
    "slow": Script(text_pieces(TEXT), delay=100.0),
    "paced": Script(text_pieces(TEXT), delay=1.0),
    "late": Script(text_pieces(TEXT), first_delay=2.0),
}


class FleetQueue(MemoryMessageQueue):
    """In which there may be a message of another process."""

    other: QueueMessage | None = None
    retired = False

    async def take(self, passed_over: Collection[str]) -> QueueMessage | None:
        if self.other is not None and self.other.tenant not in passed_over and not self.retired:
            message, self.other = self.other, None
            return message
        return await super().take(passed_over)

    async def restore(self, message: QueueMessage) -> None:
        if message.lease is None:
            await super().restore(message)
        else:
            self.other = message

    def retire(self) -> None:
        self.retired = True


class Fencing(MemoryStreamLog):
    """A log in which streams are another process's from a moment on, which the fleet says of those without output."""

    fenced = False
    refuses_ends = False
    fleet: FakeFleet | None = None

    async def settle(self, lease: Lease) -> None:
        if self.refuses_ends and self.fleet is not None:
            self.fleet.listeners[FleetEvent.TAKEN](lease.stream_id)
            raise StreamNotResumableError("fenced")

    def append(self, lease: Lease, events: Sequence[Event]) -> None:
        if self.fenced:
            if self.fleet is not None:
                self.fleet.listeners[FleetEvent.TAKEN](lease.stream_id)
            raise StreamNotResumableError("fenced")
        super().append(lease, events)


async def other_s_job(house: House, model: str = "p/ok", grace: float = 0.0) -> Job:
    """One whose stream another process has begun."""
    info = StreamInfo("s_other", "e", model, 1, "t_other")
    await house.the_log.open(info)
    return Job(info, context("t_other", grace=grace), ask(model), store_key="k", reserved=100)


def build(fleet: FakeFleet | None = None, **fields: object) -> tuple[House, StreamService, FleetQueue]:
    queue = FleetQueue(10, 10)
    house = House(scripts=SCRIPTS, fleet=fleet or FakeFleet(elsewhere=True), queue=queue, **fields)  # type: ignore[arg-type]
    return house, house.build(), queue


async def events_of(house: House, stream_id: str = "s_other") -> list[Event]:
    reader = await house.the_log.follow(stream_id)
    assert reader is not None
    batch = await reader.read()
    return list(batch.events) if batch else []


async def taken(house: House, queue: FleetQueue, **fields: object) -> None:
    """A message of another process, taken by this one."""
    message = QueueMessage(await other_s_job(house), 10.0, lease=Lease("s_other", 1))
    queue.other = replace(message, **fields)  # type: ignore[arg-type]
    house.admission.poke()
    await house.clock.advance(0)


async def test_what_another_process_had_waiting_is_served_here_q7() -> None:
    house, _, queue = build()
    await taken(house, queue)
    events = await events_of(house)
    assert events[0] == Status(StatusState.STARTED)
    assert isinstance(events[-1], Complete)
    (record,) = house.recorder.records
    assert (record.outcome, record.stream_id, record.total_seconds) == (Outcome.SERVED, "s_other", 50.0)
    assert len(house.slots) == 0


async def test_it_waits_for_its_turn_and_its_slot_like_any_other() -> None:
    house, service, queue = build(slots_in_all=1)
    holder = await service.open(ask("p/slow"), context("t1"))
    await taken(house, queue)
    assert queue.other is not None
    holder.close()
    house.fleet.elsewhere = False  # type: ignore[union-attr]
    await house.clock.advance(0)
    house.admission.poke()  # as the fleet's slots do when one comes back
    await house.pass_time(6)
    assert isinstance((await events_of(house))[-1], Complete)


async def test_what_comes_too_late_or_is_cancelled_by_then_is_ended_q2_q6() -> None:
    for fields, code in (({"wait": -1.0}, "queue_timeout"), ({"cancelled": True}, None)):
        house, _, queue = build()
        await taken(house, queue, **fields)
        last = (await events_of(house))[-1]
        assert last == Cancelled("requested") if code is None else isinstance(last, Failed)
        assert house.demo.calls == 0
        assert await house.dead_letters.list() == []
        assert len(house.slots) == 0


async def test_what_has_killed_each_process_that_began_it_is_given_up_q7() -> None:
    house, _, queue = build()
    await taken(house, queue, deliveries=3)
    last = (await events_of(house))[-1]
    assert isinstance(last, Failed)
    assert (last.code, last.retryable) == ("failed", False)
    (letter,) = await house.dead_letters.list()
    assert (letter.job.stream_id, letter.reason, letter.deliveries) == ("s_other", "failed", 3)
    assert house.recorder.records[0].outcome is Outcome.FAILED


async def test_a_stream_that_cannot_be_read_is_left_to_another_try() -> None:
    house, _, queue = build(FakeFleet(unreadable=True))
    await taken(house, queue)
    assert (len(house.generations), len(house.slots), house.demo.calls) == (0, 0, 0)


async def test_if_its_old_process_is_gone_nobody_reads_it_and_it_ends() -> None:
    house, _, queue = build(fleet := FakeFleet())
    message = QueueMessage(await other_s_job(house, "p/slow", grace=8.0), 10.0, lease=Lease("s_other", 1))
    queue.other = message
    house.admission.poke()
    await house.pass_time(7)
    assert len(house.generations) == 1
    await house.pass_time(2)
    assert (len(house.generations), fleet.asked) == (0, 1)
    assert (await events_of(house))[-1] == Cancelled("orphaned")


async def test_what_waits_here_and_goes_elsewhere_is_silent_from_then_on() -> None:
    """Q3: one outcome, told by who served it."""
    house, service, _ = build(fleet := FakeFleet(), slots_in_all=1)
    holder = await service.open(ask("p/slow"), context("t1"))
    waits = await service.open(ask("p/ok"), context("t2"))
    await house.clock.advance(0)
    for _ in range(2):
        fleet.listeners[FleetEvent.TAKEN](waits.info.stream_id)
    fleet.listeners[FleetEvent.TAKEN]("s_unknown")
    await house.clock.advance(0)
    waits.close()
    assert (len(house.generations), len(house.recorder.records), len(house.slots)) == (1, 0, 1)
    await service.cancel(waits.info.stream_id, CALLER)
    assert fleet.cancelled == [waits.info.stream_id]
    holder.close()
    await house.clock.advance(0)


async def test_what_runs_here_and_was_taken_over_stops_and_frees_its_own_slot() -> None:
    """S8: this process slept, and another has begun it again."""
    house, service, queue = build(fleet := FakeFleet(), slots_in_all=1)
    holder = await service.open(ask("p/slow"), context("t0"))
    running = await service.open(ask("p/slow", "other"), context("t1"))
    await house.clock.advance(0)
    fleet.listeners[FleetEvent.TAKEN](holder.info.stream_id)  # it never waited: nobody else can go on with it
    await house.clock.advance(0)
    holder.close()
    await house.clock.advance(0)
    assert (len(house.slots), house.demo.open) == (1, 1)
    fleet.listeners[FleetEvent.TAKEN](running.info.stream_id)
    await house.clock.advance(0)
    assert (len(house.generations), len(house.slots), house.demo.open) == (0, 0, 0)
    assert [record.thread_id for record in house.recorder.records] == ["t0"]
    assert queue.other is None


async def test_a_waiting_stream_that_is_not_ours_any_more_is_cancelled_where_it_is() -> None:
    """Q6: it was taken in the moment in which its caller left."""
    log = Fencing((clock := House().clock), max_bytes=2**24)
    house, service, _ = build(fleet := FakeFleet(), slots_in_all=1, log=log, clock=clock)
    log.fleet = fleet
    holder = await service.open(ask("p/slow"), context("t1"))
    waits = await service.open(ask("p/ok"), context("t2"))
    late = await service.open(ask("p/ok", "late"), context("t3", grace=100.0))
    await house.clock.advance(0)
    log.fenced = True
    waits.close()
    await house.clock.advance(0)
    assert fleet.cancelled == [waits.info.stream_id]
    await house.pass_time(61)
    assert fleet.cancelled == [waits.info.stream_id]
    assert [record.thread_id for record in house.recorder.records] == ["t1"]
    log.fenced = False
    for attachment in (holder, late):
        attachment.close()
    await house.generations.aclose()


@pytest.mark.parametrize("output", [False, True])
async def test_who_wakes_up_with_an_event_that_the_log_refuses_settles_only_its_own_q3(output: bool) -> None:
    """Fault 25, Q7: without output in the log the job went on elsewhere, and is settled and recorded there; else it
    ended as lost, and nobody but this process knows what it cost."""
    log = Fencing((clock := House().clock), max_bytes=2**24)
    house, service, _ = build(fleet := FakeFleet(elsewhere=True), slots_in_all=1, log=log, clock=clock)
    log.fleet = None if output else fleet
    settled: list[int] = []
    settle = house.admission.settle

    async def counted(caller: Caller, reserved: int, used: int) -> None:
        settled.append(used)
        await settle(caller, reserved, used)

    house.admission.settle = counted  # type: ignore[method-assign]
    holder = await service.open(ask("p/slow"), context("t1"))
    waits = await service.open(ask("p/late"), context("t2"))
    await house.clock.advance(0)
    fleet.elsewhere = False
    holder.close()
    await house.clock.advance(0)
    assert house.demo.open == 1
    log.fenced = True
    await house.pass_time(12)
    assert [record.outcome for record in house.recorder.records if record.thread_id == "t2"] == [Outcome.LOST] * output
    assert len(settled) == 1 + output
    assert (len(house.generations), len(house.slots), house.demo.open) == (0, 0, 0)
    waits.close()


async def test_a_whole_answer_that_the_log_refuses_is_another_process_s_to_give_q7() -> None:
    """Fault 25: it woke up with all of it in its hands, and so at its end."""
    log = Fencing((clock := House().clock), max_bytes=2**24)
    house, service, _ = build(fleet := FakeFleet(), slots_in_all=1, log=log, clock=clock)
    log.fleet = fleet
    holder = await service.open(ask("p/slow"), context("t1"))
    waits = await service.open(ask("p/ok"), context("t2"))
    await house.clock.advance(0)
    holder.close()
    log.refuses_ends = True
    await house.clock.advance(0)
    assert {record.thread_id for record in house.recorder.records} == {"t1"}
    assert (len(house.generations), len(house.slots)) == (0, 0)
    assert fleet.cancelled == []
    waits.close()


async def test_it_is_taken_back_by_the_process_that_had_it_q7() -> None:
    house, service, queue = build(fleet := FakeFleet(elsewhere=True), slots_in_all=1)
    holder = await service.open(ask("p/slow"), context("t1"))
    waits = await service.open(ask("p/paced"), context("t2"))
    await house.clock.advance(0)
    generation = house.generations.get(waits.info.stream_id)
    assert generation is not None
    await queue.remove(waits.info.stream_id)
    queue.other = QueueMessage(generation.job, 30.0, deliveries=2, lease=Lease(waits.info.stream_id, 1))
    holder.close()
    fleet.elsewhere = False
    await house.pass_time(1)
    assert house.generations.get(waits.info.stream_id) not in {None, generation}
    fleet.elsewhere = True
    await house.pass_time(12)
    assert isinstance((await read_all(waits))[-1], Complete)
    assert house.demo.calls == 2
    waits.close()


async def test_what_waits_when_its_process_ends_is_left_to_the_others_s12() -> None:
    house, service, queue = build(FakeFleet(), slots_in_all=1)
    await service.open(ask("p/slow"), context("t1"))
    stays = await service.open(ask("p/ok"), context("t2", grace=30.0))
    goes = await service.open(ask("p/ok", "goes"), context("t3"))
    await house.clock.advance(0)
    service.drain()
    await house.generations.aclose()
    assert list(await queue.positions()) == [stays.info.stream_id]
    assert queue.retired
    assert {record.thread_id for record in house.recorder.records} == {"t1", "t3"}
    goes.close()
    stays.close()


async def test_what_waited_and_failed_through_no_fault_of_its_own_is_kept_and_replayed_q7() -> None:
    """Fault 26: the provider fails as often as it is tried."""
    scripts = {**SCRIPTS, "poison": Script((), error=ProviderUnavailableError)}
    house = House(scripts=scripts, slots_in_all=1, fleet=FakeFleet())
    service = house.build()
    holder = await service.open(ask("p/paced"), context("t1", grace=100.0))
    poison = await service.open(ask("p/poison"), context("t2"))
    await house.pass_time(30)
    last = (await read_all(poison))[-1]
    assert isinstance(last, Failed)
    (letter,) = await house.dead_letters.list()
    assert (letter.job.stream_id, letter.reason, letter.deliveries) == (poison.info.stream_id, last.code, 1)
    holder.close()
    poison.close()
    replay = replay_of(house, MemoryMessageQueue(1, 1))
    info = await replay.replay(poison.info.stream_id)
    assert info is not None
    assert info.stream_id != poison.info.stream_id
    assert await replay.replay(poison.info.stream_id) is None
    await house.dead_letters.bury(letter)
    with pytest.raises(QueueFullError):
        await replay.replay(poison.info.stream_id)
    assert await house.dead_letters.list() == [letter]


class Failing(MemoryMessageQueue):
    """A line that cannot be reached, or to which two operators come with the same letter."""

    def __init__(self, house: House, *, away: bool) -> None:
        super().__init__(10, 10)
        self.house = house
        self.away = away
        self.asked: list[str] = []

    async def put(self, message: QueueMessage) -> int | None:
        if self.away:
            raise QueueError("away")
        self.asked.append(message.stream_id)
        await self.house.dead_letters.exhume("s_other")
        return await super().put(message)


@pytest.mark.parametrize("fails_at", ["log", "queue"])
async def test_a_letter_is_lost_by_nothing_that_goes_wrong_with_its_replay_q7(fails_at: str) -> None:
    log = Fencing((clock := House().clock), max_bytes=2**24)
    house = House(log=log, clock=clock)
    house.build()
    letter = DeadLetter(await other_s_job(house), "failed", 3, 1.0)
    await house.dead_letters.bury(letter)
    log.fenced = fails_at == "log"
    queue = MemoryMessageQueue(10, 10) if fails_at == "log" else Failing(house, away=True)
    with pytest.raises((QueueError, StreamNotResumableError)):
        await replay_of(house, queue).replay("s_other")
    assert await house.dead_letters.list() == [letter]


async def test_of_two_who_replay_a_letter_one_does_q7() -> None:
    house = House()
    house.build()
    await house.dead_letters.bury(DeadLetter(await other_s_job(house), "failed", 3, 1.0))
    queue = Failing(house, away=False)
    assert await replay_of(house, queue).replay("s_other") is None
    assert await queue.positions() == {}
    (stream_id,) = queue.asked  # nobody waits for an end of it that does not come
    assert (await events_of(house, stream_id))[-1] == Cancelled("replayed")


def replay_of(house: House, queue: MemoryMessageQueue) -> Replay:
    ids = StreamIds(b"secret")
    tier = Tier(1, 1, 1)
    return Replay(house.clock, house.the_log, ids, queue, house.dead_letters, lambda _: tier, wait=60.0, grace=300.0)
