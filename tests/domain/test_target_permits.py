"""Adaptive concurrency: calls of a target wait here, in a fair line, for as many others as it answers well."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from adapters.memory.stream_log import MemoryStreamLog
from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import (
    ProviderError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderUnavailableError,
    StreamLogFullError,
)
from domain.model import CallContext, Caller, Complete, Event, Failed, Lease, Status, StatusState
from domain.services import target_permits
from domain.services.streams import Attachment, StreamService
from domain.services.target_permits import TargetPermits
from tests.domain.parts import CALLER, TEXT, House, ask, context, read_all

PIECES = text_pieces(TEXT)
SLOW = Script(PIECES, first_delay=2.0)


def house_of(scripts: Mapping[str, Script] | None = None, permits: int = 1, **fields: object) -> House:
    """A house where concurrency is adaptive, and no answer comes from the cache."""
    return House(scripts=scripts or {"slow": SLOW}, permits=permits, **fields)  # type: ignore[arg-type]


def permits_of(house: House) -> TargetPermits:
    """Its permits."""
    assert house.target_permits is not None
    return house.target_permits


def reading(house: House, name: str) -> float:
    """One of its gauges."""
    return permits_of(house).occupancy()[f"headgate_permits{name}"]()


async def opened(house: House, service: StreamService, *models: str, tenant: str = "acme") -> list[Attachment]:
    """One stream of each model, each as far as it gets by itself."""
    attachments = []
    for model in models:
        call = CallContext("t", Caller(tenant), lookup=False, store=False)
        attachments.append(await service.open(ask(model), call))
        await house.clock.advance(0)
    return attachments


async def ended(house: House, attachments: list[Attachment]) -> list[list[Event]]:
    """Their events, and what was held is given back."""
    events = [await asyncio.wait_for(read_all(attachment), 5) for attachment in attachments]
    for attachment in attachments:
        attachment.close()
    await house.clock.advance(0)
    assert reading(house, "_in_use") == reading(house, "_awaited") == 0
    return events


async def test_what_is_above_the_limit_waits_and_is_told_where_it_stands_q5() -> None:
    house = house_of(permits=2)
    attachments = await opened(house, house.build(), *["p/slow"] * 5)
    assert (house.demo.calls, reading(house, "_in_use"), reading(house, "_awaited")) == (2, 2, 3)
    await house.pass_time(8)
    answers = await ended(house, attachments)
    assert all(isinstance(events[-1], Complete) for events in answers)
    heard = [[one for one in events if isinstance(one, Status)] for events in answers]
    assert heard[0] == heard[1] == []
    assert heard[2] == [Status(StatusState.QUEUED, 0), Status(StatusState.STARTED)]
    assert heard[4] == [Status(StatusState.QUEUED, 2), Status(StatusState.QUEUED, 1), Status(StatusState.STARTED)]


async def test_waiting_is_not_counted_as_silence_of_the_provider() -> None:
    house = house_of({"slow": Script(PIECES, first_delay=6.0)})  # the first event may take 10 s
    attachments = await opened(house, house.build(), *["p/slow"] * 3)
    await house.pass_time(20)
    assert all(isinstance(events[-1], Complete) for events in await ended(house, attachments))
    assert house.demo.calls == 3


async def test_a_caller_with_many_calls_does_not_keep_another_waiting_for_them_q4() -> None:
    house = house_of()
    service = house.build()
    many = await opened(house, service, *["p/slow"] * 12)
    (one,) = await opened(house, service, "p/slow", tenant="other")
    await house.pass_time(12)
    assert isinstance((await asyncio.wait_for(read_all(one), 5))[-1], Complete)
    assert reading(house, "_awaited") > 5
    one.close()
    for attachment in many:
        await service.cancel(attachment.info.stream_id, CALLER)
    await ended(house, many)


async def test_a_call_waits_no_longer_than_it_may_q2() -> None:
    house = house_of({"slow": Script(PIECES, delay=6.0)})  # 24 s; who waits may wait for 20 s
    attachments = await opened(house, house.build(), "p/slow", "p/slow")
    await house.pass_time(30)
    _, (queued, failed) = await ended(house, attachments)
    assert queued == Status(StatusState.QUEUED, 0)
    assert isinstance(failed, Failed)
    assert (failed.code, house.demo.calls) == ("queue_timeout", 1)


async def test_a_full_line_is_said_at_once_q1() -> None:
    house = house_of(line_depth=1)
    attachments = await opened(house, house.build(), "p/slow", "p/slow", "p/slow")
    (failed,) = await asyncio.wait_for(read_all(attachments[2]), 5)
    assert isinstance(failed, Failed)
    assert failed.code == "queue_full"
    await house.pass_time(8)
    await ended(house, attachments)


async def test_who_leaves_the_line_frees_the_place_q6() -> None:
    house = house_of()
    service = house.build()
    first, second, third = await opened(house, service, *["p/slow"] * 3)
    await service.cancel(second.info.stream_id, CALLER)
    await house.clock.advance(0)
    assert reading(house, "_awaited") == 1
    await house.pass_time(6)
    await ended(house, [first, second, third])
    assert house.demo.calls == 2


async def test_who_leaves_in_the_moment_of_being_let_in_gives_the_permit_back() -> None:
    house = house_of()
    service = house.build()
    first, second, third = await opened(house, service, *["p/slow"] * 3)
    for one in (first, second):
        generation = house.generations.get(one.info.stream_id)
        assert generation is not None
        generation.cancel("requested")
    await house.pass_time(6)
    answers = await ended(house, [first, second, third])
    assert isinstance(answers[2][-1], Complete)


async def test_another_target_of_the_route_that_has_room_comes_first() -> None:
    house = house_of({"slow": SLOW, "other": SLOW}, routes={"fast": ("p/slow", "p/other")})
    attachments = await opened(house, house.build(), "fast", "fast")
    assert (house.demo.calls, reading(house, "_awaited")) == (2, 0)
    await house.pass_time(4)
    ends = [events[-1] for events in await ended(house, attachments)]
    assert [end.target for end in ends if isinstance(end, Complete)] == ["p/slow", "p/other"]


@pytest.mark.parametrize(
    ("error", "limit"), [(ProviderRateLimitedError, 1), (ProviderRequestError, 8), (ProviderUnavailableError, 8)]
)
async def test_only_what_load_explains_lowers_the_limit(error: type[ProviderError], limit: int) -> None:
    house = house_of({"bad": Script(error=error, retry_after=1.0)}, permits=8)
    attachments = await opened(house, house.build(), "p/bad")
    await house.pass_time(8)
    await ended(house, attachments)
    assert reading(house, "") == limit  # three tries of a 429: 4, 2, 1


async def test_a_silent_provider_lowers_the_limit_and_a_quick_one_raises_it() -> None:
    house = house_of({"slow": SLOW, "silent": Script(PIECES, first_delay=11.0)}, permits=20)
    service = house.build()
    attachments = await opened(house, service, "p/silent")
    await house.pass_time(11)
    assert reading(house, "") == 5
    await service.cancel(attachments[0].info.stream_id, CALLER)
    await ended(house, attachments)
    for _ in range(6):
        attachments = await opened(house, service, *["p/slow"] * 10)
        await house.pass_time(5)
        await ended(house, attachments)
    assert reading(house, "") > 5 + 15  # it began at 10


async def test_a_provider_that_falls_silent_in_the_middle_does_not_lower_the_limit() -> None:
    house = house_of({"stalls": Script(PIECES, stall_at=2)}, permits=8)
    attachments = await opened(house, house.build(), "p/stalls")
    await house.pass_time(65)
    ((*_, failed),) = await ended(house, attachments)
    assert isinstance(failed, Failed)
    assert failed.code == "provider_timeout"
    assert reading(house, "") == 8


async def test_a_rescue_does_not_wait_r6() -> None:
    scripts = {"cut": Script(PIECES, error=ProviderUnavailableError, error_at=3), "slow": SLOW}
    house = house_of({**scripts}, routes={"fast": ("p/cut", "p/slow")})
    service = house.build()
    attachments = await opened(house, service, "p/slow", "fast")
    assert reading(house, "_in_use") == 2
    await house.pass_time(4)
    answers = await ended(house, attachments)
    assert not any(isinstance(one, Status) for one in answers[1])


async def test_of_very_many_targets_an_idle_one_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_permits, "MAX_TARGETS", 2)
    house = house_of({"slow": SLOW, "a": SLOW, "b": SLOW})
    service = house.build()
    attachments = await opened(house, service, "p/slow", "p/a", "p/b")
    assert reading(house, "") == 3  # none is idle
    await house.pass_time(4)
    attachments += await opened(house, service, "p/ok")
    assert reading(house, "") == 3
    await house.pass_time(1)
    await ended(house, attachments)


class Choosy(MemoryStreamLog):
    """A log that takes no status of one kind, of one stream, or of any."""

    refuses: tuple[str, Status] | None = None

    def append(self, lease: Lease, events: Sequence[Event]) -> None:
        if self.refuses is not None and self.refuses[0] in {"", lease.stream_id} and self.refuses[1] in events:
            raise StreamLogFullError("full")
        super().append(lease, events)


def choosy_house() -> tuple[House, Choosy]:
    house = House(scripts={"slow": SLOW}, permits=1)
    house.log = log = Choosy(house.clock, max_bytes=2**24)
    return house, log


async def test_who_cannot_be_told_that_it_has_a_permit_gives_it_back_l6() -> None:
    house, log = choosy_house()
    service = house.build()
    attachments = await opened(house, service, *["p/slow"] * 3)
    log.refuses = (attachments[1].info.stream_id, Status(StatusState.STARTED))
    await house.pass_time(6)
    answers = await ended(house, attachments)
    assert [type(events[-1]) for events in answers] == [Complete, Failed, Complete]


async def test_who_cannot_be_told_that_it_waits_is_not_in_the_line_l6() -> None:
    house, log = choosy_house()
    service = house.build()
    (first,) = await opened(house, service, "p/slow")
    log.refuses = ("", Status(StatusState.QUEUED, 0))
    (second,) = await opened(house, service, "p/slow")
    assert reading(house, "_awaited") == 0
    await house.pass_time(4)
    answers = await ended(house, [first, second])
    assert [type(events[-1]) for events in answers] == [Complete, Failed]


async def test_who_gives_a_permit_back_is_not_troubled_by_another_s_stream_l6() -> None:
    house, log = choosy_house()
    service = house.build()
    attachments = await opened(house, service, *["p/slow"] * 4)
    log.refuses = (attachments[2].info.stream_id, Status(StatusState.QUEUED, 0))
    await house.pass_time(9)
    answers = await ended(house, attachments)
    assert [type(events[-1]) for events in answers] == [Complete] * 4


async def test_off_nothing_waits() -> None:
    house = House(scripts={"slow": SLOW})
    service = house.build()
    attachments = [await service.open(ask("p/slow"), context(lookup=False)) for _ in range(30)]
    await house.clock.advance(0)
    assert house.demo.calls == 30
    await house.pass_time(3)
    for attachment in attachments:
        assert isinstance((await read_all(attachment))[-1], Complete)
        attachment.close()
