"""Callers of a tier that this process does not know, as jobs of a newer replica have them in a rolling deployment: the
default tier counts for them, everywhere."""

import pytest

from adapters.settings import get_settings
from container import Container
from domain.model import Caller, Cost, Tier
from domain.tiers import ByTier
from tests.contracts.cases import OpenLimiter
from tests.jobs import job

STRANGER = Caller("acme", "of-tomorrow")
TIERS = {"default": Tier(6, 600, 1), "premium": Tier(60, 6_000, 9)}


def test_without_a_default_tier_it_is_an_error() -> None:
    assert ByTier(TIERS)["of-tomorrow"] == TIERS["default"]
    assert ByTier(TIERS)["premium"] == TIERS["premium"]
    with pytest.raises(KeyError, match="default"):
        ByTier[Tier]()["of-tomorrow"]


async def test_its_limits_are_those_of_the_default_tier_l1_l4(open_limiter: OpenLimiter) -> None:
    async with open_limiter(TIERS) as (limiter, _):
        assert (await limiter.admit(STRANGER, Cost(6, 500))).admitted
        assert not (await limiter.admit(STRANGER, Cost(1, 0))).admitted
        await limiter.settle(STRANGER, 500, 0)
        await limiter.settle(STRANGER, 0, 600)
        assert not (await limiter.admit(STRANGER, Cost(0, 60))).admitted


async def test_its_job_gets_a_slot_and_a_place_as_any_other_q3() -> None:
    container = Container(settings=get_settings({"STREAM_MAX_CONCURRENT": "1"}))
    admission = container.admission()
    one = job("acme", "s1")
    stranger = one._replace(context=one.context._replace(caller=STRANGER))
    first = await admission.enter(stranger)
    second = await admission.enter(stranger._replace(info=one.info._replace(stream_id="s2")))
    assert (first.granted.done(), second.granted.done()) == (True, False)
    await admission.leave(first)
    assert second.granted.done()
    await admission.leave(second)
