"""Requests that are charged before they are read: one request each, once, and nothing for what is refused (G5, L2)."""

import pytest

from adapters.memory.queue import MemoryMessageQueue
from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import (
    BodyMemoryFullError,
    ModelNotFoundError,
    QueueFullError,
    RateLimitExceededError,
    RequestTooCostlyError,
    ServerDrainingError,
)
from domain.model import CacheStatus, Cost, Outcome, Verdict
from domain.services.admission import Admission
from domain.services.refusals import refusal
from domain.services.streams import StreamService
from tests.domain.parts import CALLER, TEXT, House, ask, context, read_all

SLOW = {"paced": Script(text_pieces(TEXT), delay=1.0)}
LIMIT = 1000
"""Requests of a House's caller."""
TOKENS = 512
"""What a short request reserves, but for its prompt."""


async def left(house: House) -> tuple[int, int]:
    """Requests and tokens that the caller may use now."""
    verdict = await house.limiter.admit(CALLER, Cost(0, 0))
    assert verdict.requests is not None
    assert verdict.tokens is not None
    return verdict.requests.remaining, verdict.tokens.remaining


async def open_prepaid(service: StreamService, model: str = "p/ok") -> CacheStatus:
    prepaid = await service.prepay(context())
    attachment = await service.open(ask(model), context(), prepaid)
    await read_all(attachment)
    attachment.close()
    return attachment.cache


async def test_a_prepaid_request_costs_what_any_costs_l1() -> None:
    prepaid, plain = House(), House()
    service = prepaid.build()
    verdict = await service.prepay(context())
    assert await left(prepaid) == (LIMIT - 1, 1_000_000)
    first = await service.open(ask(), context(), verdict)
    second = await plain.build().open(ask(), context())
    assert first.verdict == second.verdict
    for attachment in (first, second):
        await read_all(attachment)
        attachment.close()
    assert await left(prepaid) == await left(plain)
    assert (await left(prepaid))[0] == LIMIT - 1


async def test_a_hit_costs_nothing_as_any_does_k3() -> None:
    house = House()
    service = house.build()
    assert await open_prepaid(service) is CacheStatus.MISS
    after = await left(house)
    assert await open_prepaid(service) is CacheStatus.HIT_L1
    assert await left(house) == after


async def test_a_joiner_is_charged_once_c3() -> None:
    house = House(scripts=SLOW)
    service = house.build()
    first = await service.open(ask("p/paced"), context("t1"))
    requests, tokens = await left(house)
    prepaid = await service.prepay(context("t2"))
    second = await service.open(ask("p/paced"), context("t2"), prepaid)
    assert (second.cache, second.verdict) == (CacheStatus.COALESCED, prepaid)
    assert await left(house) == (requests - 1, tokens)
    await house.pass_time(10)
    first.close()
    second.close()


async def test_who_is_over_its_limit_is_refused_before_it_is_read_g5() -> None:
    house = House()
    service = house.build()
    await house.limiter.admit(CALLER, Cost(LIMIT, 0))
    with pytest.raises(RateLimitExceededError):
        await service.prepay(context())
    (record,) = house.recorder.records
    assert (record.outcome, record.code, record.model) == (Outcome.REJECTED_RATE, "rate_limit_exceeded", "")


async def test_a_refusal_for_tokens_gives_the_request_back_l2() -> None:
    house, plain = House(tokens_per_minute=1000), House(tokens_per_minute=1000)
    service = house.build()
    told = []
    for one, prepay in ((service, True), (plain.build(), False)):
        for most, error in ((600, None), (601, RateLimitExceededError)):
            prepaid = await one.prepay(context()) if prepay else None
            if error is None:
                (await one.open(ask(max_tokens=most), context(), prepaid)).close()
                continue
            with pytest.raises(error) as caught:
                await one.open(ask(max_tokens=most), context(), prepaid)
            told.append(refusal(caught.value.details))
    assert told[0] == told[1]
    assert (await left(house))[0] == LIMIT - 1
    with pytest.raises(RequestTooCostlyError):
        await service.open(ask(max_tokens=1001), context(), await service.prepay(context()))
    assert (await left(house))[0] == LIMIT - 1


async def test_a_full_queue_gives_all_back_l2() -> None:
    house = House(scripts={"stalls": Script(text_pieces(TEXT), stall_at=2)}, slots_in_all=1)
    house.queue = MemoryMessageQueue(0, 0)
    service = house.build()
    first = await service.open(ask("p/stalls"), context())
    before = await left(house)
    with pytest.raises(QueueFullError):
        await open_prepaid(service)
    assert await left(house) == before
    first.close()


async def test_while_it_drains_nothing_is_read_and_nothing_charged_s12() -> None:
    house = House()
    service = house.build()
    prepaid = await service.prepay(context())
    service.drain()
    with pytest.raises(ServerDrainingError):
        await service.open(ask(), context(), prepaid)
    with pytest.raises(ServerDrainingError):
        await service.prepay(context())
    assert (await left(house))[0] == LIMIT
    assert [record.outcome for record in house.recorder.records] == [Outcome.REJECTED_FULL] * 2


async def test_what_was_read_in_vain_stays_charged_g5() -> None:
    house = House()
    with pytest.raises(ModelNotFoundError):
        await open_prepaid(house.build(), "p/")
    assert (await left(house))[0] == LIMIT - 1


async def test_what_is_turned_away_unread_comes_back_l2() -> None:
    house = House()
    service = house.build()
    for refused in (None, BodyMemoryFullError("Full.")):
        await service.prepay(context())
        await service.refund(context(), refused)
    assert (await left(house))[0] == LIMIT
    assert [(record.outcome, record.code) for record in house.recorder.records] == [
        (Outcome.REJECTED_FULL, "overloaded")
    ]


async def test_a_refusal_that_knows_no_quota_is_told_as_it_is_l5() -> None:
    class Refusing:
        refunded: list[Cost] = []  # noqa: RUF012 - of this test

        async def admit(self, *_: object) -> Verdict:
            return Verdict(admitted=False, retry_after=1)

        async def refund(self, _: object, cost: Cost) -> None:
            self.refunded.append(cost)

    limiter, house = Refusing(), House()
    house.build()
    admission = Admission(house.clock, limiter, house.slots, house.queue, lambda _: None, wait=1.0)  # type: ignore[arg-type,return-value]
    with pytest.raises(RateLimitExceededError) as caught:
        await admission.reserve(CALLER, Cost(1, 5), "t", prepaid=True)
    assert refusal(caught.value.details) == Verdict(admitted=False, retry_after=1)
    assert limiter.refunded == [Cost(1, 0)]
