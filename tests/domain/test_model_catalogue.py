"""Which models there are: asked lazily, kept, shared, and never waited for twice (kind 19)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from adapters.memory.defects import MemoryDefects
from adapters.memory.manual_clock import ManualClock
from domain.delta import Delta
from domain.errors import ProviderUnavailableError
from domain.model import CompletionRequest
from domain.services.model_catalogue import FRESH_SECONDS, MAX_MODELS, ModelCatalogue
from ports.defects import Where
from ports.model_list import ModelList
from ports.provider import Provider


class Mute(Provider):
    """A provider that cannot list its models."""

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing to close."""


class Lister(Mute, ModelList):
    """One that can. `gate` holds its answers back; `error` is raised instead."""

    def __init__(self, *names: str) -> None:
        self.names: list[str] = list(names)
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def list_models(self) -> Sequence[str]:
        self.calls += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.names


class House:
    def __init__(self, wait: float = 5.0, limit: float = 10.0, **providers: Provider) -> None:
        self.clock = ManualClock()
        self.failures: list[tuple[str, str]] = []
        self.defects = MemoryDefects()
        self.catalogue = ModelCatalogue(
            self.clock,
            ["fast", "b/x"],
            providers,
            lambda *failure: self.failures.append(failure),
            wait=wait,
            limit=limit,
            defects=self.defects,
        )

    async def names(self) -> list[str]:
        return list(await self.catalogue.list())

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_routes_come_first_then_each_providers_models_in_order_and_each_once() -> None:
    house = House(b=Lister("z", "x", "z"), a=Lister("org/m"), mute=Mute())
    assert await house.catalogue.list() == {"fast": None, "b/x": None, "a/org/m": "a", "b/z": "b"}
    assert house.catalogue.routes == ("fast", "b/x")


async def test_nobody_is_asked_before_somebody_wants_to_know_and_then_once_a_minute() -> None:
    lister = Lister("m")
    house = House(a=lister)
    assert lister.calls == 0
    for _ in range(3):
        await house.names()
    assert lister.calls == 1
    await house.clock.advance(FRESH_SECONDS)
    await house.names()
    await house.settle()
    assert lister.calls == 2


async def test_a_hundred_who_ask_at_once_share_one_call() -> None:
    lister = Lister("m")
    lister.gate.clear()
    house = House(a=lister)
    asking = [asyncio.create_task(house.names()) for _ in range(100)]
    await house.settle()
    lister.gate.set()
    assert await asyncio.gather(*asking) == [["fast", "b/x", "a/m"]] * 100
    assert lister.calls == 1


async def test_no_second_call_is_made_while_one_is_under_way_however_long_it_takes() -> None:
    lister = Lister("m")
    lister.gate.clear()
    house = House(wait=0.01, a=lister)
    await house.names()
    await house.clock.advance(FRESH_SECONDS)
    await house.names()
    assert lister.calls == 1
    await house.catalogue.aclose()


async def test_a_known_list_is_told_at_once_while_it_is_fetched_again() -> None:
    lister = Lister("old")
    house = House(a=lister)
    await house.names()
    await house.clock.advance(FRESH_SECONDS)
    lister.names = ["new"]
    lister.gate.clear()
    assert await house.names() == ["fast", "b/x", "a/old"]
    lister.gate.set()
    await house.settle()
    assert await house.names() == ["fast", "b/x", "a/new"]


async def test_a_slow_provider_does_not_hold_the_list_and_is_there_when_it_has_answered() -> None:
    slow = Lister("late")
    slow.gate.clear()
    house = House(wait=0.01, slow=slow, a=Lister("m"))
    assert await house.names() == ["fast", "b/x", "a/m"]
    slow.gate.set()
    await house.settle()
    assert "slow/late" in await house.names()
    assert slow.calls == 1


@pytest.mark.parametrize(
    ("error", "code"), [(ProviderUnavailableError("x"), "provider_unavailable"), (TimeoutError(), "provider_timeout")]
)
async def test_a_failure_is_counted_and_hidden_and_the_last_good_list_stays(error: Exception, code: str) -> None:
    lister, other = Lister("m"), Lister("n")
    house = House(a=lister, c=other)
    await house.names()
    await house.clock.advance(FRESH_SECONDS)
    lister.error = error
    await house.names()
    await house.settle()
    assert await house.names() == ["fast", "b/x", "a/m", "c/n"]
    assert house.failures == [("a", code)]


async def test_a_failure_is_not_asked_for_again_before_its_time() -> None:
    lister = Lister("m")
    lister.error = ProviderUnavailableError("x")
    house = House(a=lister)
    assert [await house.names(), await house.names()] == [["fast", "b/x"]] * 2
    assert (lister.calls, len(house.failures)) == (1, 1)


async def test_one_that_takes_too_long_is_given_up() -> None:
    lister = Lister("m")
    lister.gate.clear()
    house = House(limit=0.01, a=lister)
    assert await house.names() == ["fast", "b/x"]
    assert house.failures == [("a", "provider_timeout")]


async def test_a_defect_of_an_adapter_is_reported_and_the_others_are_told() -> None:
    lister = Lister("m")
    lister.error = ValueError("planted")
    house = House(a=lister, c=Lister("n"))
    assert await house.names() == ["fast", "b/x", "c/n"]
    assert house.defects.places == [Where.MODELS]


async def test_names_that_nobody_could_ask_for_are_left_out_and_there_are_only_so_many() -> None:
    strange = ["", "a b", "a\nb", "x" * 199, "ü"]
    house = House(a=Lister(*strange, *(f"m{number:05}" for number in range(MAX_MODELS + 5))))
    names = await house.names()
    assert (len(names), names[2], "a/ü" in names) == (2 + MAX_MODELS, "a/m00000", False)


@pytest.mark.parametrize(
    ("name", "found"),
    [("fast", True), ("b/x", True), ("a/org/m", True), ("a/other", False), ("mute/any", True), ("down/any", True),
     ("nobody/m", False), ("a/", False), ("a", False), ("a/m m", False), ("", False)],
)  # fmt: skip
async def test_one_model_is_there_if_it_is_listed_or_its_provider_never_said(name: str, found: bool) -> None:
    down = Lister()
    down.error = ProviderUnavailableError("x")
    house = House(a=Lister("org/m"), mute=Mute(), down=down)
    assert await house.catalogue.find(name) == (name if found else None)


async def test_what_is_being_fetched_at_the_end_is_given_up() -> None:
    lister = Lister("m")
    lister.gate.clear()
    house = House(wait=0.01, a=lister)
    await house.names()
    await house.catalogue.aclose()
    await house.catalogue.aclose()
    assert house.failures == []
