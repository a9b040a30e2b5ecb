"""The demo provider: its scripts, at their pace, on a clock that the test holds."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.demo import DemoProvider
from adapters.providers.demo_scripts import SCRIPTS, Script, text_pieces
from domain.delta import Delta
from domain.errors import (
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderUnavailableError,
)
from domain.model import CompletionRequest, Json, Message
from ports.clock import Clock


class QuickClock(Clock):
    """Every sleep is over at once, and is noted."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return sum(self.sleeps)

    def time(self) -> float:
        return 1_700_000_000.0 + sum(self.sleeps)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await asyncio.sleep(0)


async def answer(provider: DemoProvider, model: str, content: Json = "Why?") -> list[list[Delta]]:
    request = CompletionRequest(model, [Message("user", content), Message("assistant", "no")])
    async with provider.stream(request, model, "thread-1") as batches:
        return [list(batch) async for batch in batches]


def text(batches: list[list[Delta]]) -> str:
    return "".join(delta.text for batch in batches for delta in batch)


async def test_the_demo_answer_comes_at_a_human_pace_with_role_finish_and_usage() -> None:
    clock = QuickClock()
    batches = await answer(DemoProvider("demo", clock), "demo")
    deltas = list(itertools.chain(*batches))
    assert 60 <= len(deltas) <= 120
    assert 1 / 50 <= sum(clock.sleeps) / len(deltas) <= 1 / 30
    assert deltas[0].role == "assistant"
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]
    assert deltas[-1].model == "demo"
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion_tokens == len(deltas) - 1
    assert not any(delta.raw for delta in deltas)


async def test_instant_comes_in_two_batches_without_a_pause() -> None:
    clock = QuickClock()
    batches = await answer(DemoProvider("demo", clock), "instant")
    assert len(batches) == 2
    assert clock.sleeps == []


@pytest.mark.parametrize(
    ("model", "reason"),
    [("long", "stop"), ("slow", "stop"), ("tools", "tool_calls"), ("reasoning", "stop"), ("echo", "stop"),
     ("cut", None), ("filtered", "content_filter"), ("length", "length")],
)  # fmt: skip
async def test_how_the_scripts_end(model: str, reason: str | None) -> None:
    last = (await answer(DemoProvider("demo", QuickClock()), model))[-1][-1]
    assert last.finish_reason == reason


async def test_slow_is_slow_to_begin_and_reasoning_and_tools_are_what_they_say() -> None:
    clock = QuickClock()
    provider = DemoProvider("demo", clock)
    await answer(provider, "slow")
    assert clock.sleeps[0] == 5.0
    reasoning = itertools.chain(*await answer(provider, "reasoning"))
    assert "".join(delta.reasoning for delta in reasoning).startswith("Two numbers")
    calls = [delta.tool_calls[0] for delta in itertools.chain(*await answer(provider, "tools")) if delta.tool_calls]
    assert calls[0].name == "get_weather"
    assert "".join(call.arguments for call in calls) == '{"city": "Paris", "unit": "celsius"}'


@pytest.mark.parametrize(
    ("model", "kind", "retry_after"),
    [
        ("error-500", ProviderUnavailableError, None),
        ("error-429", ProviderRateLimitedError, 1.0),
        ("refused", ProviderRequestError, None),
        ("no-such-model", ProviderModelNotFoundError, None),
    ],
)
async def test_failures_on_demand(model: str, kind: type[ProviderError], retry_after: float | None) -> None:
    provider = DemoProvider("demo", QuickClock())
    with pytest.raises(kind) as caught:
        await answer(provider, model)
    assert (caught.value.thread_id, caught.value.retry_after) == ("thread-1", retry_after)
    assert (provider.calls, provider.open) == (1, 0)


@pytest.mark.parametrize(("model", "count"), [("silent", 0), ("stall", 6)])
async def test_r8_one_that_is_silent_is_open_until_it_is_left(model: str, count: int) -> None:
    provider = DemoProvider("demo", QuickClock())
    request = CompletionRequest(model, [Message("user", "Why?")])
    async with provider.stream(request, model, "thread-1") as batches:
        for _ in range(count):
            await anext(batches)
        waiting = asyncio.ensure_future(anext(batches))
        done, _ = await asyncio.wait([waiting], timeout=0.01)
        assert not done
        assert provider.open == 1
        waiting.cancel()
    assert (provider.calls, provider.open) == (1, 0)


async def test_scripts_of_ones_own() -> None:
    script = Script(text_pieces("a b c d"), batch=3, error=ProviderUnavailableError, error_at=2)
    provider = DemoProvider("demo", QuickClock(), {"mine": script})
    request = CompletionRequest("mine", [])
    async with provider.stream(request, "mine", "thread-1") as batches:
        assert text([list(await anext(batches))]) == "a b"
        with pytest.raises(ProviderUnavailableError):
            await anext(batches)


@given(
    st.text(st.characters())
    | st.lists(st.sampled_from(["a", " ", "\u0301", "\u0600", "字", "\ud83d", "\r\n", "\u200d"])).map("".join)
)
async def test_s15_echo_gives_back_any_text_and_splits_no_grapheme(content: str) -> None:
    batches = await answer(
        DemoProvider("demo", QuickClock()), "echo", [{"type": "text", "text": content}, {"type": "x"}]
    )
    assert text(batches) == content
    pieces = [delta.text for batch in batches for delta in batch if delta.text]
    for before, after in itertools.pairwise(pieces):
        assert ("!" <= before[-1] <= "~" and after[0] == " ") or ("一" <= before[-1] <= "\u9fff" and after[0] >= "一")


async def test_echo_without_a_user_message_is_an_empty_answer() -> None:
    provider = DemoProvider("demo", QuickClock())
    async with provider.stream(CompletionRequest("echo", []), "echo", "thread-1") as batches:
        (batch,) = [batch async for batch in batches]
    assert [delta.finish_reason for delta in batch] == ["stop"]
    await provider.aclose()


def test_every_named_script_is_there() -> None:
    named = "demo instant long slow tools reasoning echo error-500 error-429 refused cut stall silent filtered length"
    assert set(named.split()) == set(SCRIPTS)
