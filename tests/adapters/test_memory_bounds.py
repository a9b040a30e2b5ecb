"""What only the small adapters in memory promise: that they leave nothing behind, and forget the oldest."""

from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.memory.manual_clock import ManualClock
from adapters.memory.probe_leases import MAX_TARGETS
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.recorder import MemoryRecorder
from adapters.memory.slots import MemorySlots
from domain.model import BreakerState, Caller
from tests.contracts.test_recorder_contract import record
from tests.jobs import message


def test_the_recorder_keeps_the_last_records_in_order() -> None:
    recorder = MemoryRecorder(3)
    for number in range(5):
        recorder.record(record(number))
    assert recorder.records == (record(2), record(3), record(4))


def test_the_recorder_finds_the_newest_record_of_a_thread() -> None:
    recorder = MemoryRecorder(3)
    assert recorder.find("thread-1") is None
    older, newer = record(1), record(1)
    for one in (older, newer, record(2)):
        recorder.record(one)
    assert recorder.find("thread-1") is newer
    recorder.record(record(3))
    recorder.record(record(4))
    assert recorder.find("thread-1") is None


async def test_slots_know_nothing_of_tenants_without_slots() -> None:
    """L6."""
    slots = MemorySlots(10, lambda caller: 2)
    for number in range(100):
        assert await slots.acquire(Caller(str(number)), f"s-{number}")
        await slots.release(f"s-{number}")
    assert (len(slots._held), len(slots._tenants)) == (0, 0)


async def test_the_queue_knows_nothing_of_tenants_that_do_not_wait() -> None:
    """Q1."""
    queue = MemoryMessageQueue(1, 1)
    await queue.put(message("a", "s-1"))
    assert await queue.put(message("b", "s-2")) is None
    await queue.remove("s-1")
    assert (len(queue._line._ring), len(queue._line._tenants)) == (0, 0)


async def test_the_breaker_board_forgets_the_target_that_was_published_longest_ago() -> None:
    clock = ManualClock()
    board = MemoryBreakerBoard(clock)
    for number in range(MAX_TARGETS):
        await board.publish(f"p/{number}", BreakerState(2_000.0, 1))
    await board.publish("p/0", BreakerState(3_000.0, 2))
    await board.publish("p/new", BreakerState(2_000.0, 1))
    assert board.state("p/1") is None
    assert board.state("p/0") == BreakerState(3_000.0, 2)
    assert len(board._states) == MAX_TARGETS


async def test_probes_that_nobody_gave_back_are_bounded_too() -> None:
    clock = ManualClock()
    board = MemoryBreakerBoard(clock)
    for number in range(MAX_TARGETS + 10):
        assert await board.acquire_probe(f"p/{number}", "a", 10.0)
    assert len(board._leases._leases) == MAX_TARGETS


async def test_whoever_has_the_probe_may_take_it_for_longer() -> None:
    clock = ManualClock()
    board = MemoryBreakerBoard(clock)
    await board.acquire_probe("p/m", "a", 10.0)
    await clock.advance(9.0)
    assert await board.acquire_probe("p/m", "a", 10.0)
    await clock.advance(9.0)
    assert not await board.acquire_probe("p/m", "b", 10.0)
