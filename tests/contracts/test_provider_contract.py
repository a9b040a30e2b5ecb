"""What every provider promises: the suite that an adapter of one's own must pass too."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from adapters.providers.anthropic import AnthropicProvider
from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import Script, text_pieces
from adapters.providers.gemini import GeminiProvider
from adapters.providers.openai import OpenAIProvider
from domain.delta import Delta
from domain.errors import ProviderError, ProviderModelNotFoundError, ProviderUnavailableError
from domain.model import CompletionRequest, Message
from ports.clock import Clock
from ports.provider import Provider
from tests.adapters.test_anthropic_provider_upstream import served
from tests.adapters.test_anthropic_provider_upstream import upstream as anthropic_upstream
from tests.adapters.test_gemini_provider_upstream import upstream as gemini_upstream
from tests.faults.provider import process

WORDS = "".join(f" tok{number}" for number in range(1, 61))


class NoClock(Clock):
    """For scripts without pauses."""

    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("these scripts have no pauses")


SCRIPTS = {
    "ok": Script((Delta(" tok1"), *text_pieces(WORDS.removeprefix(" tok1"))), batch=7),
    "500": Script(error=ProviderUnavailableError),
    "stall-20": Script(text_pieces(WORDS), stall_at=20),
    "silent": Script(stall_at=0),
    "no-finish": Script(text_pieces(WORDS), finish_reason=None),
    "error-midway": Script(text_pieces(WORDS), error=ProviderUnavailableError, error_at=20),
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with process() as base_url:
        yield base_url


@asynccontextmanager
async def demo() -> AsyncIterator[Provider]:
    yield DemoProvider("it", NoClock(), SCRIPTS)


@asynccontextmanager
async def anthropic() -> AsyncIterator[Provider]:
    async with served(anthropic_upstream()) as base_url:
        yield AnthropicProvider("it", base_url, "sk-x")


@asynccontextmanager
async def gemini() -> AsyncIterator[Provider]:
    async with served(gemini_upstream()) as base_url:
        yield GeminiProvider("it", f"{base_url}/v1beta", "sk-x")


PROVIDERS = {"demo": demo, "anthropic": anthropic, "gemini": gemini}


@pytest.fixture(params=[*PROVIDERS, "openai"])
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    if request.param == "openai":
        one: Provider = OpenAIProvider("it", request.getfixturevalue("url"), "sk-x")
        yield one
        await one.aclose()
        return
    async with PROVIDERS[request.param]() as one:
        yield one
        await one.aclose()


async def collect(provider: Provider, model: str, into: list[Delta]) -> None:
    request = CompletionRequest(model, [Message("user", "Why is the sky blue?")])
    async with provider.stream(request, model, "thread-1") as batches:
        async for batch in batches:
            assert len(batch) > 0
            into += batch


async def test_an_answer_is_batches_with_one_role_one_finish_reason_and_usage(provider: Provider) -> None:
    deltas: list[Delta] = []
    await collect(provider, "ok", deltas)
    assert "".join(delta.text for delta in deltas) == WORDS
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    assert deltas[0].role == "assistant"
    finish = [delta for delta in deltas if delta.finish_reason]
    assert [(delta.finish_reason, delta.model) for delta in finish] == [("stop", "ok")]
    usage = [delta.usage for delta in deltas if delta.usage]
    assert usage[-1].completion_tokens == 60


async def test_calls_at_once_do_not_mix(provider: Provider) -> None:
    answers: list[list[Delta]] = [[] for _ in range(20)]
    await asyncio.gather(*(collect(provider, "ok", answer) for answer in answers))
    assert {"".join(delta.text for delta in answer) for answer in answers} == {WORDS}


async def test_r4_an_answer_without_a_finish_reason_ends_without_one(provider: Provider) -> None:
    deltas: list[Delta] = []
    await collect(provider, "no-finish", deltas)
    assert "".join(delta.text for delta in deltas) == WORDS
    assert not any(delta.finish_reason for delta in deltas)


@pytest.mark.parametrize(
    ("model", "kind", "count"),
    [("500", ProviderUnavailableError, 0), ("error-midway", ProviderUnavailableError, 20),
     ("unknown", ProviderModelNotFoundError, 0)],
)  # fmt: skip
async def test_a_failure_is_a_provider_error_after_what_came(
    provider: Provider, model: str, kind: type[ProviderError], count: int
) -> None:
    deltas: list[Delta] = []
    with pytest.raises(kind) as caught:
        await collect(provider, model, deltas)
    assert len("".join(delta.text for delta in deltas).split()) == count
    assert caught.value.thread_id == "thread-1"
    assert caught.value.details["provider"] == "it"


@pytest.mark.parametrize(("model", "count"), [("silent", 0), ("stall-20", 20)])
async def test_r8_a_silent_provider_is_left_at_once(provider: Provider, model: str, count: int) -> None:
    deltas: list[Delta] = []
    task = asyncio.create_task(collect(provider, model, deltas))
    async with asyncio.timeout(5):
        while len("".join(delta.text for delta in deltas).split()) < count:  # noqa: ASYNC110 - tokens come from outside
            await asyncio.sleep(0.001)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0.5)
    assert done == {task}
    assert task.cancelled()


async def test_leaving_early_and_calling_again_works(provider: Provider) -> None:
    request = CompletionRequest("ok", [Message("user", "Why?")])
    for _ in range(3):
        async with provider.stream(request, "ok", "thread-1") as batches:
            assert await anext(batches)
    deltas: list[Delta] = []
    await collect(provider, "ok", deltas)
    assert "".join(delta.text for delta in deltas) == WORDS


async def test_aclose_is_idempotent(provider: Provider) -> None:
    await collect(provider, "ok", [])
    await provider.aclose()
    await provider.aclose()
