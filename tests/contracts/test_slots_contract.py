"""The contract of the slots port."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model import Caller
from tests.contracts.cases import OpenSlots

ACME, OTHER = Caller("acme"), Caller("other")
FEW = {"default": 2}


async def test_a_slot_is_had_until_both_bounds_are_reached(open_slots: OpenSlots) -> None:
    async with open_slots(total=3, per_tier=FEW) as (slots, _):
        assert [await slots.acquire(ACME, holder) for holder in ("a", "b", "c")] == [True, True, False]
        assert [await slots.acquire(OTHER, holder) for holder in ("d", "e")] == [True, False]


async def test_a_tier_sets_the_bound_of_its_callers(open_slots: OpenSlots) -> None:
    premium = Caller("rich", "premium")
    async with open_slots(total=10, per_tier={"default": 1, "premium": 3}) as (slots, _):
        assert [await slots.acquire(premium, str(number)) for number in range(4)] == [True, True, True, False]
        assert [await slots.acquire(ACME, holder) for holder in ("a", "b")] == [True, False]


async def test_a_slot_that_is_given_back_can_be_had(open_slots: OpenSlots) -> None:
    async with open_slots(total=1, per_tier=FEW) as (slots, _):
        await slots.acquire(ACME, "a")
        await slots.release("a")
        assert await slots.acquire(OTHER, "b") is True


async def test_giving_back_twice_or_what_one_never_had_frees_nothing(open_slots: OpenSlots) -> None:
    """L6: never above the cap."""
    async with open_slots(total=2, per_tier=FEW) as (slots, _):
        await slots.acquire(ACME, "a")
        await slots.acquire(ACME, "b")
        await slots.release("a")
        await slots.release("a")
        await slots.release("nobody")
        assert [await slots.acquire(ACME, holder) for holder in ("c", "d")] == [True, False]


async def test_a_holder_has_one_slot_however_often_it_asks(open_slots: OpenSlots) -> None:
    """L6: a slot that is asked for twice does not leak."""
    async with open_slots(total=2, per_tier=FEW) as (slots, _):
        assert await slots.acquire(ACME, "a") is True
        assert await slots.acquire(ACME, "a") is True
        assert await slots.acquire(ACME, "b") is True
        await slots.release("a")
        assert await slots.acquire(ACME, "c") is True


async def test_many_at_once_get_as_many_slots_as_there_are(open_slots: OpenSlots) -> None:
    """L6: both bounds are checked in one step."""
    async with open_slots(total=5, per_tier={"default": 3}) as (slots, _):
        asked = [slots.acquire((ACME, OTHER)[number % 2], str(number)) for number in range(40)]
        assert sum(await asyncio.gather(*asked)) == 5


steps = st.tuples(st.booleans(), st.sampled_from("xyz"), st.integers(0, 7))


@given(mix=st.lists(steps, max_size=60))
@settings(deadline=None, max_examples=150)
async def test_slots_in_use_are_the_live_holders_after_any_mix(
    open_slots: OpenSlots, mix: list[tuple[bool, str, int]]
) -> None:
    """L6: for any sequence of takes and returns."""
    held: dict[str, str] = {}
    async with open_slots(total=4, per_tier={"default": 2}) as (slots, _):
        for takes, tenant, number in mix:
            holder = f"{tenant}-{number}"
            if not takes:
                await slots.release(holder)
                held.pop(holder, None)
                continue
            fits = len(held) < 4 and list(held.values()).count(tenant) < 2
            assert await slots.acquire(Caller(tenant), holder) is (holder in held or fits)
            if fits:
                held[holder] = tenant
        for holder in held:
            await slots.release(holder)
        assert [await slots.acquire(Caller(str(number)), str(number)) for number in range(5)] == [True] * 4 + [False]
