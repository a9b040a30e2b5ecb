"""The contract of the queue port."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.jobs import MAX_COST, QueueMessage
from tests import jobs
from tests.contracts.cases import OpenQueue


def message(tenant: str, number: int) -> QueueMessage:
    return jobs.message(tenant, f"{tenant}-{number}")


async def test_first_come_first_served_within_a_tenant(open_queue: OpenQueue) -> None:
    """Q4."""
    line = [message("a", number) for number in range(10)]
    async with open_queue() as (queue, _):
        for one in line:
            await queue.put(one)
        assert [await queue.take(()) for _ in range(11)] == [*line, None]


async def test_what_was_taken_and_restored_is_first_again(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        for number in range(3):
            await queue.put(message("a", number))
        await queue.put(message("b", 0))
        taken = await queue.take(())
        assert taken == message("a", 0)
        await queue.restore(taken)
        assert await queue.positions() == {"a-0": 0, "a-1": 1, "a-2": 2, "b-0": 0}
        assert await queue.take(()) == taken
        only = await queue.take({"a"})
        assert only is not None
        await queue.restore(only)
        assert await queue.take(()) == only


async def test_a_tenant_with_one_message_waits_one_round_whatever_the_backlog(open_queue: OpenQueue) -> None:
    """Q4: one visit of each other tenant at most."""
    async with open_queue(max_depth=10_000, max_per_tenant=10_000) as (queue, _):
        for number in range(1_000):
            await queue.put(message("hog", number))
        for _ in range(3):
            await queue.take(())
        for number in range(10):
            await queue.put(message(f"small{number}", 0))
        served = [await queue.take(()) for _ in range(2 * MAX_COST + 10)]
        assert {one.tenant for one in served if one} == {"hog", *(f"small{number}" for number in range(10))}


@given(
    costs=st.lists(st.lists(st.integers(1, MAX_COST), min_size=24, max_size=24), min_size=2, max_size=4),
    weights=st.lists(st.integers(1, 3), min_size=4, max_size=4),
)
@settings(deadline=None, max_examples=60)
async def test_busy_tenants_share_by_cost_and_weight(
    open_queue: OpenQueue, costs: list[list[int]], weights: list[int]
) -> None:
    """Q4: the served cost per weight of two busy tenants never differs by more than two quanta (the paper's bound)."""
    async with open_queue() as (queue, _):
        for tenant, row in enumerate(costs):
            for number, cost in enumerate(row):
                await queue.put(jobs.message(str(tenant), f"{tenant}-{number}", cost, weights[tenant]))
        served = [0.0] * len(costs)
        left = [len(row) for row in costs]
        while all(left):
            one = await queue.take(())
            assert one is not None
            served[int(one.tenant)] += one.cost / one.weight
            left[int(one.tenant)] -= 1
            assert max(served) - min(served) <= 2 * MAX_COST


async def test_put_counts_the_tenant_s_own_messages_ahead(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        assert [await queue.put(message("a", number)) for number in range(3)] == [0, 1, 2]
        assert await queue.put(message("b", 0)) == 0
        await queue.take(())
        assert await queue.put(message("a", 3)) == 2


async def test_take_passes_over_tenants_and_they_keep_their_places(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        for one in (message("a", 1), message("a", 2), message("b", 1)):
            await queue.put(one)
        assert await queue.take({"a"}) == message("b", 1)
        assert await queue.take({"a", "b"}) is None
        assert len(await queue.positions()) == 2
        assert await queue.take(()) == message("a", 1)


async def test_take_of_an_empty_line_is_none(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        assert await queue.take(()) is None


async def test_leaving_frees_the_place_and_the_message_is_never_served(open_queue: OpenQueue) -> None:
    """Q6."""
    async with open_queue(max_depth=2) as (queue, _):
        await queue.put(message("a", 1))
        await queue.put(message("a", 2))
        assert await queue.remove("a-1") is True
        assert await queue.remove("a-1") is False
        assert await queue.remove("nobody") is False
        assert await queue.put(message("a", 3)) == 1
        assert [await queue.take(()) for _ in range(3)] == [message("a", 2), message("a", 3), None]


async def test_what_was_taken_can_leave_no_more(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        await queue.put(message("a", 1))
        await queue.take(())
        assert await queue.remove("a-1") is False


async def test_depth_counts_all_who_wait(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        assert len(await queue.positions()) == 0
        await queue.put(message("a", 1))
        await queue.put(message("b", 1))
        assert len(await queue.positions()) == 2
        await queue.take(())
        assert len(await queue.positions()) == 1


async def test_a_full_line_stores_nothing(open_queue: OpenQueue) -> None:
    """Q1: bounded in total."""
    async with open_queue(max_depth=2) as (queue, _):
        await queue.put(message("a", 1))
        await queue.put(message("b", 1))
        assert await queue.put(message("c", 1)) is None
        assert len(await queue.positions()) == 2
        assert await queue.remove("c-1") is False


async def test_one_tenant_cannot_fill_the_line(open_queue: OpenQueue) -> None:
    """Q1: bounded per caller."""
    async with open_queue(max_per_tenant=2) as (queue, _):
        assert [await queue.put(message("a", number)) for number in range(3)] == [0, 1, None]
        assert await queue.put(message("b", 1)) == 0
        await queue.take(())
        assert await queue.put(message("a", 3)) == 1


async def test_many_at_once_never_exceed_the_bounds(open_queue: OpenQueue) -> None:
    """Q1: the bound is checked and taken in one step."""
    async with open_queue(max_depth=5, max_per_tenant=3) as (queue, _):
        places = await asyncio.gather(*(queue.put(message("ab"[number % 2], number)) for number in range(40)))
        assert sum(place is not None for place in places) == 5
        assert len(await queue.positions()) == 5


steps = st.tuples(
    st.sampled_from(["put", "put", "take", "take one", "remove"]), st.sampled_from("abc"), st.integers(0, 5)
)


@given(mix=st.lists(steps, max_size=60))
@settings(deadline=None, max_examples=150)
async def test_any_use_is_that_of_bounded_lines(open_queue: OpenQueue, mix: list[tuple[str, str, int]]) -> None:
    """Q1, Q4, Q5: against plain lists, for any sequence of steps."""
    lines: dict[str, list[QueueMessage]] = {"a": [], "b": [], "c": []}
    async with open_queue(max_depth=6, max_per_tenant=3) as (queue, _):
        for number, (step, tenant, choice) in enumerate(mix):
            line = lines[tenant]
            if step == "put":
                fits = sum(map(len, lines.values())) < 6 and len(line) < 3
                one = jobs.message(tenant, f"{tenant}-{number}", 1 + choice % MAX_COST)
                assert await queue.put(one) == (len(line) if fits else None)
                line += [one] if fits else []
            elif step == "take one":
                first = line.pop(0) if line else None
                assert await queue.take(set("abc") - {tenant}) == first
            elif step == "take":
                taken = await queue.take(())
                assert (taken is None) is not any(lines.values())
                assert taken is None or lines[taken.tenant].pop(0) == taken
            else:
                leaving = line.pop(choice % len(line)).stream_id if line else "nobody"
                assert await queue.remove(leaving) is (leaving != "nobody")
            expected = {one.stream_id: ahead for line in lines.values() for ahead, one in enumerate(line)}
            assert await queue.positions() == expected


async def test_all_who_wait_are_listed_in_the_order_of_the_round(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        assert list(await queue.list()) == []
        for one in (message("a", 1), message("b", 1), message("a", 2)):
            await queue.put(one)
        rows = await queue.list()
        assert [(one.stream_id, one.tenant, one.ahead) for one in rows] == [
            ("a-1", "a", 0),
            ("a-2", "a", 1),
            ("b-1", "b", 0),
        ]
        assert all((one.cost, one.deliveries) == (1, 0) and 50 < one.wait <= 60 for one in rows)


async def test_nothing_of_a_living_process_is_reclaimed_and_a_retired_one_takes_its_own(open_queue: OpenQueue) -> None:
    async with open_queue() as (queue, _):
        await queue.put(message("a", 1))
        await queue.put(message("a", 2))
        assert await queue.take(()) == message("a", 1)
        await queue.reclaim()
        assert list(await queue.positions()) == ["a-2"]
        queue.retire()
        assert await queue.take(()) == message("a", 2)
