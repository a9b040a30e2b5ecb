"""Answers that hand over their batches are what answers that are iterated over are."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script, text_pieces
from domain.delta import Delta
from domain.errors import ProviderUnavailableError
from domain.model import Complete, CompletionRequest, Failed
from ports.provider import Delivery
from tests.domain.parts import TEXT, House, ask, context, read_all

SCRIPTS = {
    "ok": Script(text_pieces(TEXT)),
    "cut": Script(text_pieces(TEXT), error=ProviderUnavailableError, error_at=2),
}


class Delivered(AsyncIterator[Sequence[Delta]], Delivery):
    """Hands over what it would be iterated for."""

    def __init__(self, answer: AsyncIterator[Sequence[Delta]]) -> None:
        self._answer = answer

    async def __anext__(self) -> Sequence[Delta]:
        raise AssertionError("it is not iterated over")

    async def deliver(self, take: Callable[[Sequence[Delta]], None]) -> None:
        async for batch in self._answer:
            take(batch)


class DeliveringProvider(DemoProvider):
    """The demo provider with the optional power."""

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        @asynccontextmanager
        async def delivered() -> AsyncIterator[AsyncIterator[Sequence[Delta]]]:
            async with super(DeliveringProvider, self).stream(request, model, thread_id) as answer:
                yield Delivered(answer)

        return delivered()


@pytest.mark.parametrize(("model", "end"), [("ok", Complete), ("cut", Failed)])
async def test_an_answer_that_is_handed_over_is_the_same(model: str, end: type[object]) -> None:
    events = []
    for kind in (DemoProvider, DeliveringProvider):
        house = House(scripts=SCRIPTS)
        house.provider = kind("p", house.clock, SCRIPTS)
        attachment = await house.build().open(ask(f"p/{model}"), context())
        events.append(await read_all(attachment))
        attachment.close()
    assert events[0] == events[1]
    assert isinstance(events[0][-1], end)
