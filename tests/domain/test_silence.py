"""Silence by its four limits, and what counts as a sign of life (R2)."""

import asyncio
from collections.abc import Mapping

import pytest

from adapters.providers.demo_scripts import Script, text_pieces
from domain.delta import Delta, Usage
from domain.errors import ProviderUnavailableError
from domain.model import BreakerState, Complete, Event, Failed
from domain.services.timeouts import StreamTimeouts, Timeouts
from tests.domain.parts import TEXT, House, ask, context, read_all

PIECES = text_pieces(TEXT)
LIMITS = StreamTimeouts(first_event=10.0, first_event_last=120.0, idle=60.0, total=3600.0)
SILENT = Script(PIECES, stall_at=0)
PINGS = Script(PIECES, stall_at=0, alive_every=5.0)
SHUT = 600.0


def house(scripts: Mapping[str, Script], own: Mapping[str, StreamTimeouts] | None = None) -> House:
    """With the route `one` to the first script alone, and `all` to all of them in order."""
    names = [f"p/{name}" for name in scripts]
    routes = {"one": (names[0],), "all": (*names, "p/ok")}
    return House(scripts=scripts, routes=routes, timeouts=LIMITS, own_timeouts=own or {})


async def ending(house: House, route: str, most: float, shut: tuple[str, ...] = ()) -> tuple[float, list[Event]]:
    """When a stream ended, to half a second, and its events. It must end within `most` seconds."""
    service = house.build()
    for target in shut:
        await house.board.publish(target, BreakerState(house.clock.monotonic() + SHUT, 1))
    began = house.clock.monotonic()
    attachment = await service.open(ask(route), context(grace=10_000.0))
    await house.clock.advance(0)
    while len(house.generations):
        assert house.clock.monotonic() - began <= most, "it is not over"
        await house.pass_time(0.5)
    took = house.clock.monotonic() - began
    events = await asyncio.wait_for(read_all(attachment), 5)
    attachment.close()
    assert house.demo.open == 0
    return took, events


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


@pytest.mark.parametrize(
    ("script", "route", "shut", "seconds"),
    [
        # The first event: a short limit with another target behind, a long one without.
        (SILENT, "one", (), 120.0),
        (SILENT, "all", (), 10.0),
        (SILENT, "all", ("p/ok",), 120.0),
        # Signs of life move the limit of a last target alone, and for so long.
        (PINGS, "one", (), 240.0),
        (PINGS, "all", (), 10.0),
        (PINGS, "all", ("p/ok",), 240.0),
        # Within the answer.
        (Script(PIECES, stall_at=2), "one", (), 60.0),
        (Script(PIECES, stall_at=2, alive_every=59.0), "one", (), 240.0),
        (Script(PIECES, stall_at=2, alive_every=61.0), "one", (), 60.0),
        (Script(PIECES, stall_at=2, alive_every=0.5), "all", (), 240.0),
    ],
)
async def test_silence_has_a_limit_for_where_it_falls_r2(
    script: Script, route: str, shut: tuple[str, ...], seconds: float
) -> None:
    one = house({"thinks": script})
    took, events = await ending(one, route, seconds + 20.0, shut)
    assert seconds <= took <= seconds + 1.0
    if route == "all" and not shut:
        assert isinstance(events[-1], Complete)
        assert text(events) == TEXT
    else:
        assert isinstance(events[-1], Failed)
        assert events[-1].code == "provider_timeout"
    assert one.recorder.records[-1].failures == (("p/thinks", "provider_timeout"),)  # R1: once, and not again


async def test_a_model_that_thinks_is_not_silent_while_it_gives_signs_of_life_r2() -> None:
    thinks = Script(PIECES, first_delay=230.0, delay=230.0, alive_every=15.0)
    took, events = await ending(house({"thinks": thinks}), "one", 2000.0)
    assert isinstance(events[-1], Complete)
    assert text(events) == TEXT
    assert took >= 230.0 * len(PIECES)


async def test_one_that_thinks_without_a_sign_has_its_time_where_it_is_the_last_r2() -> None:
    for delay, kind in ((110.0, Complete), (130.0, Failed)):
        _, events = await ending(house({"thinks": Script(PIECES, first_delay=delay)}), "one", 300.0)
        assert isinstance(events[-1], kind)


async def test_whether_another_could_answer_is_asked_again_at_the_limit_r2() -> None:
    """The breaker of the next target opens meanwhile: the first one is the last then, and is not cut."""
    one = house({"thinks": Script(PIECES, first_delay=100.0)})
    service = one.build()
    attachment = await service.open(ask("all"), context(grace=1000.0))
    await one.pass_time(5.0)
    await one.board.publish("p/ok", BreakerState(one.clock.monotonic() + SHUT, 1))
    await one.pass_time(97.0)
    events = await asyncio.wait_for(read_all(attachment), 5)
    assert isinstance(events[-1], Complete)
    assert events[-1].target == "p/thinks"
    attachment.close()


async def test_a_target_that_was_tried_is_no_other_one_r2() -> None:
    down = Script(error=ProviderUnavailableError, retry_after=31.0)
    one = house({"down": down, "thinks": Script(PIECES, first_delay=100.0)})
    one.routes = {"all": ("p/down", "p/thinks")}
    _, events = await ending(one, "all", 150.0)
    assert isinstance(events[-1], Complete)


async def test_nothing_moves_the_end_after_a_finish_reason_r2_r5() -> None:
    """Neither signs of life nor counts that come again and again: a second after the reason it is over."""
    counts = tuple(Delta(usage=Usage(1, count)) for count in range(100))
    finish = (*PIECES, Delta(finish_reason="stop"))
    pings = Script(finish, finish_reason=None, stall_at=len(finish), alive_every=0.5)
    for script in (pings, Script((*finish, *counts), finish_reason=None, delay=0.5)):
        took, events = await ending(house({"lingers": script}), "one", 10.0)
        assert isinstance(events[-1], Complete)
        assert took - (len(finish) - 1) * script.delay <= 2.0


@pytest.mark.parametrize(
    ("limits", "script", "route", "seconds"),
    [
        (StreamTimeouts(3.0, 120.0, 60.0, 3600.0), SILENT, "all", 3.0),
        (StreamTimeouts(10.0, 4.0, 60.0, 3600.0), SILENT, "one", 4.0),
        (StreamTimeouts(10.0, 4.0, 60.0, 3600.0), SILENT, "all", 10.0),
        (StreamTimeouts(10.0, 300.0, 5.0, 3600.0), PINGS, "one", 300.0),
        (StreamTimeouts(10.0, 120.0, 2.0, 3600.0), Script(PIECES, stall_at=2), "one", 2.0),
        (StreamTimeouts(10.0, 120.0, 2.0, 3600.0), Script(PIECES, stall_at=2, alive_every=1.0), "one", 8.0),
        (StreamTimeouts(10.0, 120.0, 60.0, 5.0), Script(PIECES * 9, delay=1.0), "one", 5.0),
        (StreamTimeouts(10.0, 120.0, 60.0, 4500.0), Script(PIECES * 80, delay=10.0), "one", 4000.0),
    ],
)
async def test_a_target_may_have_limits_of_its_own_r2(
    limits: StreamTimeouts, script: Script, route: str, seconds: float
) -> None:
    one = house({"own": script}, {"p/own": limits})
    took, events = await ending(one, route, seconds + 20.0)
    assert seconds <= took <= seconds + 1.0
    assert isinstance(events[-1], Failed if route == "one" and seconds < 3000.0 else Complete)


async def test_a_target_that_takes_too_long_in_all_is_relieved_by_the_next_r2_r6() -> None:
    """Its own total is shorter than that of the route: what it began is finished."""
    slow = Script(PIECES, delay=2.0)
    one = house({"slow": slow}, {"p/slow": StreamTimeouts(10.0, 120.0, 60.0, 5.0)})
    took, events = await ending(one, "all", 20.0)
    assert 5.0 <= took <= 6.0
    assert text(events) == TEXT
    assert isinstance(events[-1], Complete)
    assert events[-1].target == "p/ok"


async def test_the_total_bounds_all_attempts_together_r2() -> None:
    one = house({"own": Script(PIECES * 100, delay=50.0)})
    took, events = await ending(one, "one", 3700.0)
    assert isinstance(events[-1], Failed)
    assert events[-1].message == "The answer took longer than it may in all."
    assert 3600.0 <= took <= 3601.0


async def test_signs_of_life_win_a_probe_no_time_to_its_first_event_r2_b3() -> None:
    """Its lease is as long as the limit: behind that another probe would begin. Within the answer they count again."""
    for script, seconds in ((PINGS, 120.0), (Script(PIECES, stall_at=2, alive_every=5.0), 240.0)):
        one = house({"sick": script})
        service = one.build()
        await one.board.publish("p/sick", BreakerState(one.clock.monotonic() - 1.0, 1))
        attachment = await service.open(ask("one"), context(grace=1000.0))
        await one.pass_time(seconds - 1.0)
        assert len(one.generations) == 1
        await one.pass_time(2.0)
        assert isinstance((await asyncio.wait_for(read_all(attachment), 5))[-1], Failed)
        attachment.close()


def test_a_probe_is_leased_for_longer_than_its_call_may_take_to_its_first_event_b3() -> None:
    assert LIMITS.probe == 120.0
    assert StreamTimeouts(500.0, 300.0, 60.0, 3600.0).probe == 500.0
    assert StreamTimeouts(10.0, 300.0, 60.0, 30.0).probe == 30.0
    own = StreamTimeouts(1.0, 2.0, 3.0, 4.0)
    timeouts = Timeouts(LIMITS, {"p/own": own})
    assert (timeouts.of("p/own"), timeouts.of("p/other")) == (own, LIMITS)
