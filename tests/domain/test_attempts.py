"""Retries, failover and the budget over a whole generation (R1, R3)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from adapters.providers.demo_scripts import Script, text_pieces
from domain.delta import Delta
from domain.errors import (
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderUnavailableError,
)
from domain.model import BreakerState, Complete, CompletionRequest, Event, Failed
from ports.provider import Provider
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


async def end_of(house: House, seconds: float = 0.0) -> Event:
    """How a request of the route `fast` ends within so many seconds."""
    attachment = await house.build().open(ask("fast"), context(grace=1000.0))
    await house.clock.advance(0)
    await house.pass_time(seconds)
    async with asyncio.timeout(5):
        end = (await read_all(attachment))[-1]
    attachment.close()
    return end


@pytest.mark.parametrize(("targets", "tries"), [(2, 1), (1, 3)])
async def test_a_target_that_cannot_be_reached_is_tried_again_only_if_no_other_is_left_r1(
    targets: int, tries: int
) -> None:
    house = House(
        scripts={"gone": Script(error=ProviderConnectionError)}, routes={"fast": ("p/gone", "p/ok")[:targets]}
    )
    end = await end_of(house, 0.0 if targets > 1 else 10.0)  # no time passes before the next target answers
    assert isinstance(end, Complete if targets > 1 else Failed)
    (record,) = house.recorder.records
    assert record.failures == (("p/gone", "provider_connection_error"),) * tries
    assert record.attempts == tries + (targets > 1)


async def test_a_target_that_is_shut_out_is_not_left_r1() -> None:
    house = House(scripts={"gone": Script(error=ProviderConnectionError)}, routes={"fast": ("p/gone", "p/ok")})
    service = house.build()
    await house.board.publish("p/ok", BreakerState(house.clock.monotonic() + 60.0, 1))
    attachment = await service.open(ask("fast"), context(grace=1000.0))
    await house.pass_time(10)
    (end,) = await asyncio.wait_for(read_all(attachment), 5)
    assert isinstance(end, Failed)
    assert (end.code, house.demo.calls) == ("provider_connection_error", 3)
    attachment.close()


async def test_nobody_waits_for_a_target_whose_breaker_his_own_failure_opened_r1() -> None:
    house = House(scripts={"bad": Script(error=ProviderUnavailableError)}, routes={"fast": ("p/bad", "p/ok")})
    service = house.build()
    for holder in ("one", "two"):
        assert await house.breakers.admit("p/bad", holder)
        await house.breakers.failed("p/bad", holder)
    attachment = await service.open(ask("fast"), context())
    assert isinstance((await asyncio.wait_for(read_all(attachment), 5))[-1], Complete)  # and no time has passed
    assert house.demo.calls == 2
    attachment.close()


@pytest.mark.parametrize("later", [ProviderAuthenticationError, ProviderModelNotFoundError])
async def test_an_operators_mistake_does_not_hide_an_outage_r1(later: type[ProviderError]) -> None:
    routes = {"fast": ("p/down", "p/mistake", "p/mistake-too")}
    scripts = {"down": Script(error=ProviderUnavailableError), "mistake": Script(error=later)}
    house = House(scripts={**scripts, "mistake-too": Script(error=later)}, routes=routes)
    end = await end_of(house, 10)
    assert isinstance(end, Failed)
    assert (end.code, end.retryable) == ("provider_unavailable", True)
    house = House(scripts={**scripts, "mistake-too": Script(error=ProviderRequestError)}, routes=routes)
    end = await end_of(house, 10)
    assert isinstance(end, Failed)
    assert end.code == "provider_rejected_request"  # it is about the request, which is the caller's


class ChoosyProvider(Provider):
    """`lacks…` does not take a parameter, `down` fails, all others answer."""

    def __init__(self) -> None:
        self.calls = 0

    @asynccontextmanager
    async def _answer(self, model: str) -> AsyncIterator[AsyncIterator[Sequence[Delta]]]:
        self.calls += 1
        if model.startswith("lacks"):
            raise ProviderRequestError("no", details={"provider_code": "unsupported_parameter", "param": "n"})
        if model == "down":
            raise ProviderUnavailableError("no")
        yield self._deltas()

    async def _deltas(self) -> AsyncIterator[Sequence[Delta]]:
        yield [Delta("yes"), Delta(finish_reason="stop")]

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        return self._answer(model)

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(
    ("models", "code", "calls"),
    [
        (("lacks", "ok"), None, 2),  # another takes it
        (("down", "lacks"), "provider_unavailable", 4),  # and will, when it is back
        (("lacks", "down"), "provider_unavailable", 4),
        (("lacks", "lacks-too"), "provider_rejected_request", 2),
        (("lacks",), "provider_rejected_request", 1),
        (("shut", "lacks"), "circuit_open", 1),
    ],
)
async def test_a_parameter_that_one_target_does_not_take_is_no_fault_of_the_request_r1(
    models: tuple[str, ...], code: str | None, calls: int
) -> None:
    provider = ChoosyProvider()
    house = House(provider=provider, routes={"fast": tuple(f"p/{model}" for model in models)})
    service = house.build()
    await house.board.publish("p/shut", BreakerState(house.clock.monotonic() + 60.0, 1))
    attachment = await service.open(ask("fast"), context(grace=1000.0))
    await house.pass_time(10)
    end = (await asyncio.wait_for(read_all(attachment), 5))[-1]
    assert (end.code if isinstance(end, Failed) else None, provider.calls) == (code, calls)
    assert house.breakers.reports(["p/lacks"])[0].failures == 0
    attachment.close()


async def test_an_operators_mistake_does_not_hide_that_the_other_target_is_shut_out_r1() -> None:
    scripts = {"mistake": Script(error=ProviderAuthenticationError)}
    house = House(scripts=scripts, routes={"fast": ("p/ok", "p/mistake")})
    service = house.build()
    await house.board.publish("p/ok", BreakerState(house.clock.monotonic() + 7.0, 1))
    attachment = await service.open(ask("fast"), context())
    (end,) = await asyncio.wait_for(read_all(attachment), 5)
    assert isinstance(end, Failed)
    assert (end.code, end.retry_after) == ("circuit_open", 7.0)
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
