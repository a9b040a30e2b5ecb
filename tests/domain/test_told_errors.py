"""What a provider says about the request goes into the stream's end; after a failover, what helps most (R9)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from domain.delta import Delta
from domain.errors import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRequestError,
    UpstreamErrorBody,
)
from domain.model import CompletionRequest, Failed
from domain.services.generations import failed
from ports.provider import Provider
from tests.domain.parts import House, ask, context, read_all


class TellingProvider(Provider):
    """Refuses each request in the way that the model's name says."""

    @asynccontextmanager
    async def _answer(self, model: str) -> AsyncIterator[AsyncIterator[Sequence[Delta]]]:
        error: Exception | None = told(model)
        if error is not None:
            raise error
        yield self._nothing()

    async def _nothing(self) -> AsyncIterator[Sequence[Delta]]:
        yield []

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        return self._answer(model)

    async def aclose(self) -> None:
        pass


def told(model: str) -> ProviderError:
    kinds = {
        "key": ProviderAuthenticationError,
        "away": ProviderModelNotFoundError,
        "lacks": ProviderRequestError,
        "bad": ProviderRequestError,
    }
    kind = kinds[model.partition("-")[0]]
    error = kind("ours", details={"provider_code": "unsupported_parameter"} if model.startswith("lacks") else {})
    if isinstance(error, ProviderRequestError):
        error.told = UpstreamErrorBody(400, model)
    return error


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (("bad",), "bad"),
        (("key", "away"), "away"),
        (("key", "lacks"), "lacks"),
        (("away", "lacks"), "lacks"),
        (("lacks", "away"), "lacks"),
        (("lacks", "key"), "lacks"),
        (("lacks-1", "lacks-2"), "lacks-2"),
        (("away-1", "away-2"), "away-2"),
        (("lacks", "bad"), "bad"),
        (("key-1", "key-2"), None),
    ],
)
async def test_the_last_of_what_the_caller_can_mend_is_told(models: tuple[str, ...], words: str | None) -> None:
    house = House(provider=TellingProvider(), routes={"fast": tuple(f"p/{model}" for model in models)})
    attachment = await house.build().open(ask("fast"), context(grace=1000.0))
    await house.pass_time(5)
    end = (await asyncio.wait_for(read_all(attachment), 5))[-1]
    assert isinstance(end, Failed)
    assert (end.told.message if end.told else None) == words
    assert all(house.breakers.reports([f"p/{model}"])[0].failures == 0 for model in models)
    attachment.close()


def test_the_words_stand_beside_what_is_logged_and_not_in_it() -> None:
    error = told("bad")
    end = failed(error)
    assert (end.message, end.told) == ("ours", UpstreamErrorBody(400, "bad"))
    shown = f"{error!r} {error} {error.details} {end!r} {end.told!r}"
    assert "bad" not in shown
    assert "UpstreamErrorBody(status=400)" in shown
