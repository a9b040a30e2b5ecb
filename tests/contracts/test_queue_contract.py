"""The contract of the queue port."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model import QueueMessage
from tests.contracts.cases import OpenQueue


def message(tenant: str, number: int) -> QueueMessage:
    return QueueMessage(f"{tenant}-{number}", tenant, 1_060.0)


def anyone(_: QueueMessage) -> bool:
    return True


def nobody(_: QueueMessage) -> bool:
    return False


async def test_first_come_first_served(open_queue: OpenQueue) -> None:
    line = [message("a", 1), message("b", 1), message("a", 2)]
    async with open_queue() as (queue, _):
        for one in line:
            await queue.put(one)
        assert [await queue.take(anyone) for _ in range(4)] == [*line, None]


async def test_put_counts_the_tenant_s_own_messages_ahead(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        assert [await queue.put(message("a", number)) for number in range(3)] == [0, 1, 2]
        assert await queue.put(message("b", 0)) == 0
        await queue.take(anyone)
        assert await queue.put(message("a", 3)) == 2


async def test_take_passes_over_those_that_are_not_eligible_and_they_keep_their_places(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        for one in (message("a", 1), message("a", 2), message("b", 1)):
            await queue.put(one)
        assert await queue.take(lambda one: one.tenant == "b") == message("b", 1)
        assert await queue.take(nobody) is None
        assert await queue.depth() == 2
        assert await queue.take(anyone) == message("a", 1)


async def test_take_of_an_empty_line_is_none(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        assert await queue.take(anyone) is None


async def test_leaving_frees_the_place_and_the_message_is_never_served(open_queue: OpenQueue) -> None:
    """Q6."""
    async with open_queue(max_depth=2) as (queue, _):
        await queue.put(message("a", 1))
        await queue.put(message("a", 2))
        assert await queue.remove("a-1") is True
        assert await queue.remove("a-1") is False
        assert await queue.remove("nobody") is False
        assert await queue.put(message("a", 3)) == 1
        assert [await queue.take(anyone) for _ in range(3)] == [message("a", 2), message("a", 3), None]


async def test_what_was_taken_can_leave_no_more(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        await queue.put(message("a", 1))
        await queue.take(anyone)
        assert await queue.remove("a-1") is False


async def test_depth_counts_all_who_wait(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        assert await queue.depth() == 0
        await queue.put(message("a", 1))
        await queue.put(message("b", 1))
        assert await queue.depth() == 2
        await queue.take(anyone)
        assert await queue.depth() == 1


async def test_a_full_line_stores_nothing(open_queue: OpenQueue) -> None:
    """Q1: bounded in total."""
    async with open_queue(max_depth=2) as (queue, _):
        await queue.put(message("a", 1))
        await queue.put(message("b", 1))
        assert await queue.put(message("c", 1)) is None
        assert await queue.depth() == 2
        assert await queue.remove("c-1") is False


async def test_one_tenant_cannot_fill_the_line(open_queue: OpenQueue) -> None:
    """Q1: bounded per caller."""
    async with open_queue(max_per_tenant=2) as (queue, _):
        assert [await queue.put(message("a", number)) for number in range(3)] == [0, 1, None]
        assert await queue.put(message("b", 1)) == 0
        await queue.take(anyone)
        assert await queue.put(message("a", 3)) == 1


async def test_many_at_once_never_exceed_the_bounds(open_queue: OpenQueue) -> None:
    """Q1: the bound is checked and taken in one step."""
    async with open_queue(max_depth=5, max_per_tenant=3) as (queue, _):
        places = await asyncio.gather(*(queue.put(message("ab"[number % 2], number)) for number in range(40)))
        assert sum(place is not None for place in places) == 5
        assert await queue.depth() == 5


steps = st.tuples(st.sampled_from(["put", "put", "take", "remove"]), st.sampled_from("abc"), st.integers(0, 5))


@given(mix=st.lists(steps, max_size=60))
@settings(deadline=None, max_examples=150)
async def test_any_use_is_that_of_a_bounded_fifo(open_queue: OpenQueue, mix: list[tuple[str, str, int]]) -> None:
    """Q1: against a plain list, for any sequence of steps. `take` serves one tenant's messages only."""
    line: list[QueueMessage] = []
    async with open_queue(max_depth=6, max_per_tenant=3) as (queue, _):
        for number, (step, tenant, choice) in enumerate(mix):
            if step == "put":
                own = sum(one.tenant == tenant for one in line)
                fits = len(line) < 6 and own < 3
                assert await queue.put(message(tenant, number)) == (own if fits else None)
                line += [message(tenant, number)] if fits else []
            elif step == "take":
                first = next((one for one in line if one.tenant == tenant), None)
                assert await queue.take(lambda one, tenant=tenant: one.tenant == tenant) == first  # type: ignore[misc]
                line = [one for one in line if one != first]
            else:
                leaving = line[choice % len(line)].stream_id if line else "nobody"
                assert await queue.remove(leaving) is bool(line)
                line = [one for one in line if one.stream_id != leaving]
            assert await queue.depth() == len(line)
        assert [await queue.take(anyone) for _ in line] == line
