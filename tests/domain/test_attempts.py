"""Retries, failover and the budget over a whole generation (R1, R3)."""

import asyncio

import pytest

from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import ProviderRateLimitedError, ProviderUnavailableError
from domain.model import BreakerState, Complete, Failed
from tests.domain.parts import TEXT, House, ask, context, read_all

PIECES = text_pieces(TEXT)


@pytest.mark.parametrize(("wait", "calls"), [(31.0, 2), (20.0, 4)])
async def test_a_retry_after_that_is_too_long_means_the_next_target_at_once_r1(wait: float, calls: int) -> None:
    limited = Script(error=ProviderRateLimitedError, retry_after=wait)
    house = House(scripts={"limited": limited}, routes={"fast": ("p/limited", "p/ok")})
    attachment = await house.build().open(ask("fast"), context(grace=1000.0))
    await house.pass_time(45)
    assert isinstance((await asyncio.wait_for(read_all(attachment), 5))[-1], Complete)
    assert house.demo.calls == calls
    attachment.close()


async def test_an_outage_is_not_amplified_by_more_than_the_budget_r3() -> None:
    house = House(scripts={"bad": Script(error=ProviderUnavailableError)})
    service = house.build()
    for number in range(200):
        # Each a target of its own, so that no breaker helps: the budget alone holds.
        house.demo._scripts = {f"bad{number}": Script(error=ProviderUnavailableError)}
        attachment = await service.open(ask(f"p/bad{number}"), context(lookup=False, grace=1000.0))
        while not attachment.reader.ended:
            await house.pass_time(0.1, step=0.1)
            if house.generations.get(attachment.info.stream_id) is None:
                break
        attachment.close()
    assert 200 < house.demo.calls <= 200 * 1.1 + 10


async def test_a_breaker_that_opens_between_two_tries_ends_them_with_what_went_wrong_r1() -> None:
    house = House(scripts={"bad": Script(error=ProviderUnavailableError)})
    attachment = await house.build().open(ask("p/bad"), context(grace=1000.0))
    await house.clock.advance(0)
    await house.board.publish("p/bad", BreakerState(house.clock.monotonic() + 60.0, 1))
    await house.pass_time(10)
    (end,) = await read_all(attachment)
    assert isinstance(end, Failed)
    assert (end.code, house.demo.calls) == ("provider_unavailable", 1)
    attachment.close()


async def test_a_long_answer_closes_its_breaker_with_its_first_event_b3() -> None:
    house = House(scripts={"long": Script(PIECES, first_delay=2.0, delay=5.0)})
    service = house.build()
    await house.board.publish("p/long", BreakerState(house.clock.monotonic() + 1.0, 1))
    await house.clock.advance(1.0)
    probe = await service.open(ask("p/long"), context(lookup=False))
    await house.pass_time(1.0)
    other = await service.open(ask("p/long", "other"), context(lookup=False))
    (refused,) = await asyncio.wait_for(read_all(other), 5)
    assert isinstance(refused, Failed)
    assert refused.code == "circuit_open"
    await house.pass_time(1.5)
    assert house.board.state("p/long") is None
    late = await service.open(ask("p/long", "late"), context(lookup=False))
    await house.pass_time(30.0)
    for attachment in (probe, late):
        assert isinstance((await asyncio.wait_for(read_all(attachment), 5))[-1], Complete)
    for attachment in (probe, other, late):
        attachment.close()


async def test_a_probe_that_breaks_after_its_first_event_counts_as_one_failure_b3() -> None:
    house = House(scripts={"cut": Script(PIECES, delay=1.0, error=ProviderUnavailableError, error_at=3)})
    service = house.build()
    await house.board.publish("p/cut", BreakerState(house.clock.monotonic(), 1))
    attachment = await service.open(ask("p/cut"), context(lookup=False))
    await house.pass_time(5.0)
    assert isinstance((await asyncio.wait_for(read_all(attachment), 5))[-1], Failed)
    (report,) = house.breakers.reports(["p/cut"])
    assert (report.phase, report.failures) == ("closed", 2)  # its own, and that of its one try to finish its answer
    attachment.close()
