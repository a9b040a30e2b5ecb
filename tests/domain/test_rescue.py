"""Answers that break off and are finished by the next target (R6)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.demo_scripts import Script, text_pieces
from domain.delta import PLAIN, Delta, ToolCallDelta, Usage
from domain.errors import ProviderConnectionError, ProviderRequestError, ProviderUnavailableError
from domain.events import columns
from domain.model import Complete, CompletionRequest, Event, Failed, Lease, Message, Outcome
from domain.services.progress import MAX_RESCUE_CHARACTERS, Progress
from domain.services.rescue import GO_ON, continuation, rescuable
from domain.services.streams import StreamService
from ports.provider import Provider
from tests.domain.parts import House, ask, context, read_all
from tests.jobs import job

TEXT = " ".join(f"word{number}" for number in range(1, 21))
PIECES = text_pieces(TEXT)


class BreakingProvider(Provider):
    """Goes on from the partial answer in the request, and breaks after as many pieces as the model's name says."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, CompletionRequest]] = []

    @asynccontextmanager
    async def _answer(self, request: CompletionRequest, model: str) -> AsyncIterator[AsyncIterator[Sequence[Delta]]]:
        self.requests.append((model, request))
        yield self._deltas(request, model)

    async def _deltas(self, request: CompletionRequest, model: str) -> AsyncIterator[Sequence[Delta]]:
        partial = "".join(str(message.content) for message in request.messages if message.role == "assistant")
        if model == "refuses" and request.messages[-1].role == "assistant":
            raise ProviderRequestError("no")
        if model == "small":
            raise ProviderRequestError("no", details={"provider_code": "context_length_exceeded"})
        yield [Delta(role="assistant")]
        for number, piece in enumerate(text_pieces(TEXT[len(partial) :])):
            if str(number) == model:
                raise ProviderConnectionError("cut")
            yield [piece]
            if model == "turns":
                raise ProviderRequestError("no")
        yield [Delta(finish_reason="stop", usage=Usage(1, 20), model=model)]

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        return self._answer(request, model)

    async def aclose(self) -> None:
        pass


async def answered(house: House, request: CompletionRequest) -> list[Event]:
    attachment = await house.build().open(request, context())
    events = await read_all(attachment)
    attachment.close()
    return events


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def breaking(*models: str) -> tuple[House, BreakingProvider]:
    provider = BreakingProvider()
    return House(provider=provider, routes={"fast": tuple(f"p/{model}" for model in models)}), provider


@given(cuts=st.lists(st.integers(0, 19), min_size=1, max_size=5))
async def test_wherever_and_however_often_it_breaks_the_answer_is_the_unfailed_one_r6(cuts: list[int]) -> None:
    house, provider = breaking(*map(str, cuts), "whole")
    events = await answered(house, ask("fast"))
    assert text_of(events) == TEXT
    deltas = [event for event in events if isinstance(event, Delta)]
    assert sum(delta.finish_reason is not None for delta in deltas) == 1
    assert sum(delta.usage is not None for delta in deltas) == 1
    assert sum(delta.role is not None for delta in deltas) == 1
    end = events[-1]
    assert isinstance(end, Complete)
    (record,) = house.recorder.records
    assert (record.outcome, record.attempts, record.target) == (Outcome.SERVED, len(provider.requests), end.target)


async def test_the_rescuer_gets_the_partial_answer_and_is_asked_to_go_on_r6() -> None:
    house, provider = breaking("3", "whole")
    await answered(house, ask("fast", max_tokens=10))
    (_, first), (_, second) = provider.requests
    partial = "word1 word2 word3"
    assert list(second.messages) == [*first.messages, Message("assistant", partial), Message("user", GO_ON)]
    assert second.options["max_tokens"] == 7


class Model(NamedTuple):
    context_tokens: int = 1000
    prefill: bool = True
    tools: bool = True
    vision: bool = True


def prefilling(*models: str) -> tuple[House, BreakingProvider, StreamService]:
    """Targets that are known to go on from the beginning of an answer."""
    house, provider = breaking(*models)
    service = house.build()
    router = service._router
    targets = router._routes["fast"]
    router._routes = {"fast": tuple(replace(target, capabilities=Model()) for target in targets)}
    return house, provider, service


async def test_who_takes_the_beginning_of_an_answer_gets_it_as_its_last_message_r6() -> None:
    _, provider, service = prefilling("3", "whole")
    attachment = await service.open(ask("fast"), context())
    assert text_of(await read_all(attachment)) == TEXT
    attachment.close()
    assert provider.requests[1][1].messages[-1] == Message("assistant", "word1 word2 word3")


async def test_who_refuses_the_beginning_of_an_answer_is_asked_to_go_on_r6() -> None:
    _, provider, service = prefilling("3", "refuses")
    attachment = await service.open(ask("fast"), context())
    assert text_of(await read_all(attachment)) == TEXT
    attachment.close()
    assert [request.messages[-1].role for _, request in provider.requests] == ["user", "assistant", "user"]


async def test_a_rescuer_that_is_too_small_is_followed_by_the_next_whatever_its_size_r6() -> None:
    house, provider = breaking("3", "small", "whole")
    assert text_of(await answered(house, ask("fast"))) == TEXT
    assert [model for model, _ in provider.requests] == ["3", "small", "whole"]


async def test_who_refuses_in_the_middle_of_a_rescue_is_not_asked_again_r6() -> None:
    _, provider, service = prefilling("3", "turns")
    attachment = await service.open(ask("fast"), context())
    events = await read_all(attachment)
    attachment.close()
    assert isinstance(events[-1], Failed)
    assert text_of(events) == "word1 word2 word3 word4"
    assert len(provider.requests) == 2


async def test_a_rescued_answer_is_not_stored_k1() -> None:
    house, provider = breaking("3", "whole")
    service = house.build()
    for _ in range(2):
        attachment = await service.open(ask("fast"), context())
        assert isinstance((await read_all(attachment))[-1], Complete)
        attachment.close()
        await house.clock.advance(0)
    assert len(provider.requests) == 4


async def test_the_only_target_rescues_its_own_answer_once_r6() -> None:
    house, provider = breaking("7")
    events = await answered(house, ask("fast"))
    assert len(provider.requests) == 2
    assert text_of(events) == " ".join(TEXT.split()[:14])
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "upstream_truncated"


async def test_without_a_retry_in_the_budget_no_target_rescues_itself_r3() -> None:
    house, provider = breaking("7")
    service = house.build()
    while house.generations._attempts._budget.withdraw():
        pass
    attachment = await service.open(ask("fast"), context())
    assert isinstance((await read_all(attachment))[-1], Failed)
    attachment.close()
    assert len(provider.requests) == 1


async def test_a_silent_target_does_not_rescue_itself_r1() -> None:
    house = House(scripts={"stalls": Script(PIECES, stall_at=2)})
    attachment = await house.build().open(ask("p/stalls"), context(grace=100.0))
    await house.pass_time(31)
    assert isinstance((await read_all(attachment))[-1], Failed)
    assert house.demo.calls == 1
    attachment.close()


async def test_a_rescuer_that_refuses_is_not_the_reason_that_is_told_r6() -> None:
    scripts = {
        "cut": Script(PIECES, error=ProviderUnavailableError, error_at=2),
        "no": Script(error=ProviderRequestError),
    }
    house = House(scripts=scripts, routes={"fast": ("p/cut", "p/no")})
    events = await answered(house, ask("fast"))
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "provider_unavailable"
    gone = {**scripts, "no": Script(error=ProviderConnectionError)}
    events = await answered(House(scripts=gone, routes={"fast": ("p/cut", "p/no")}), ask("fast"))
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "provider_unavailable"
    house = House(scripts={**scripts, "whole": Script(PIECES)}, routes={"fast": ("p/cut", "p/no", "p/whole")})
    assert text_of(await answered(house, ask("fast"))) == TEXT


async def test_a_refusal_in_the_middle_is_for_the_caller_whatever_failed_before_r1() -> None:
    scripts = {
        "gone": Script(error=ProviderConnectionError),
        "refuses": Script(PIECES, error=ProviderRequestError, error_at=2),
        "whole": Script(PIECES),
    }
    house = House(scripts=scripts, routes={"fast": ("p/gone", "p/refuses", "p/whole")})
    events = await answered(house, ask("fast"))
    assert isinstance(events[-1], Failed)
    assert (events[-1].code, house.demo.calls) == ("provider_rejected_request", 2)


async def test_what_cannot_be_joined_ends_in_an_error_and_is_no_failure_of_the_rescuer_r6() -> None:
    other = text_pieces("word1 word2 word3 word4 and then it is another answer")
    scripts = {"cut": Script(PIECES, error=ProviderUnavailableError, error_at=10), "other": Script(other)}
    house = House(scripts=scripts, routes={"fast": ("p/cut", "p/other")})
    events = await answered(house, ask("fast"))
    assert text_of(events) == " ".join(TEXT.split()[:10])
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "upstream_truncated"


@pytest.mark.parametrize(
    ("pieces", "options"),
    [
        ((Delta(tool_calls=(ToolCallDelta(0, "id", "name"),)), *PIECES), {}),
        (PIECES, {"n": 2}),
        *(
            (PIECES, form)
            for form in (
                {"response_format": {"type": "json_object"}},
                {"functions": [{"name": "f"}]},
                {"modalities": ["text", "audio"], "audio": {}},
                {"guided_json": {"type": "object"}},
                {"generationConfig": {"responseMimeType": "application/json"}},
                {"generationConfig": {"responseSchema": {"type": "OBJECT"}}},
                {"generationConfig": {"responseModalities": ["AUDIO"]}},
                {"output_config": {"format": {"type": "json_schema"}}},
            )
        ),
        ((PIECES[0], Delta.shaped("", PLAIN._replace(plain=False)), *PIECES), {}),
    ],
)
async def test_what_cannot_be_continued_is_not_rescued_r6(pieces: tuple[Delta, ...], options: dict[str, Any]) -> None:
    scripts = {"cut": Script(pieces, error=ProviderUnavailableError, error_at=3), "whole": Script(PIECES)}
    house = House(scripts=scripts, routes={"fast": ("p/cut", "p/whole")})
    events = await answered(house, ask("fast", **options))
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "provider_unavailable"
    assert house.demo.calls == 1


@pytest.mark.parametrize("first", [Delta(role="assistant"), Delta(reasoning="Hm.")])
async def test_what_has_said_no_word_yet_is_begun_anew_whatever_its_form_r6(first: Delta) -> None:
    """OpenAI names the role at once: that is no half of a structure."""
    scripts = {
        "cut": Script((first, *PIECES), error=ProviderUnavailableError, error_at=1),
        "whole": Script((Delta(role="assistant"), *PIECES)),
    }
    house = House(scripts=scripts, routes={"fast": ("p/cut", "p/whole")})
    events = await answered(house, ask("fast", response_format={"type": "json_object"}))
    assert isinstance(events[-1], Complete)
    assert text_of(events) == TEXT
    assert sum(isinstance(event, Delta) and event.role is not None for event in events) <= 1


@pytest.mark.parametrize(
    "options",
    [
        {"response_format": {"type": "text"}, "modalities": ["text"], "tools": [{"type": "function"}]},
        {"generationConfig": {"responseMimeType": "text/plain", "responseModalities": ["TEXT"], "temperature": 0}},
        {"output_config": {"effort": "low"}, "generationConfig": None, "functions": []},
    ],
)
def test_a_text_is_a_text_in_any_dialects_words_r6(options: dict[str, Any]) -> None:
    one = Progress(job("acme", "s")._replace(request=ask("fast", **options)), Lease("s", 1))
    assert rescuable(one)


@pytest.mark.parametrize(
    ("deltas", "left"),
    [
        ([Delta(f" tok{number}") for number in range(40)], 60),  # events of a token each, whatever its length
        ([Delta("a " * 20)] * 4, 100 - 40),  # sentences
        ([Delta(reasoning="hm, " * 10), Delta("so")], 100 - 10),
        ([Delta("a " * 400)], 1),
        ([Delta(role="assistant")], 100),
    ],
)
def test_limits_are_lowered_by_what_was_used_under_any_name_r6(deltas: list[Delta], left: int) -> None:
    limits = {"max_tokens": 100, "max_completion_tokens": 100}
    options: dict[str, Any] = {**limits, "generationConfig": {"maxOutputTokens": 100, "topK": 3}}
    one = Progress(job("acme", "s")._replace(request=ask("fast", **options)), Lease("s", 1))
    one.take(columns(deltas), 0.0)
    lowered = continuation(one, "x", prefill=True).options
    assert lowered == dict.fromkeys(limits, left) | {"generationConfig": {"maxOutputTokens": left, "topK": 3}}
    assert one.request.options == options


@pytest.mark.parametrize("said", [[Delta("So")], [Delta(reasoning="hm, ")]])
def test_a_budget_of_thoughts_is_not_asked_of_a_rescuer_r6(said: list[Delta]) -> None:
    """Anthropic refuses a beginning with it, and a limit that is lower than it."""
    thinking: dict[str, Any] = {"type": "enabled", "budget_tokens": 2_000}
    one = Progress(job("acme", "s")._replace(request=ask("fast", max_tokens=2_001, thinking=thinking)), Lease("s", 1))
    one.take(columns([Delta(role="assistant")]), 0.0)
    assert continuation(one, "", prefill=False).options["thinking"] == thinking
    one.take(columns(said), 0.0)
    text = "".join(one.answer.texts)
    assert continuation(one, text, prefill=False).options == {"max_tokens": 2_000}
    adaptive = Progress(job("acme", "s")._replace(request=ask("fast", thinking={"type": "adaptive"})), Lease("s", 1))
    adaptive.take(columns(said), 0.0)
    assert continuation(adaptive, text, prefill=False).options == {"thinking": {"type": "adaptive"}}


def progress(*texts: str, messages: Sequence[Message] = (Message("user", "hi"),)) -> Progress:
    one = Progress(job("acme", "s")._replace(request=CompletionRequest("m", messages)), Lease("s", 1))
    one.take(columns([Delta(text) for text in texts]), 0.0)
    return one


def test_a_batch_counts_as_its_events_do() -> None:
    tool = Delta("", tool_calls=(ToolCallDelta(0),))
    events = columns([Delta.shaped("a", PLAIN), Delta.shaped("bc", PLAIN), tool, Delta.shaped("d", PLAIN)])
    whole, single = Progress(job("acme", "s"), Lease("s", 1)), Progress(job("acme", "s"), Lease("s", 1))
    whole.take(events, 0.0)
    for number in range(len(events)):
        single.take(events[number : number + 1], 0.0)
    assert whole.answer == single.answer == events
    assert (whole.characters, whole.beyond_text) == (single.characters, single.beyond_text) == (4, True)


def test_the_beginning_of_an_answer_ends_without_white_space_r6() -> None:
    request = continuation(progress("a", " \n"), "a \n", prefill=True)
    assert list(request.messages) == [Message("user", "hi"), Message("assistant", "a")]
    request = continuation(progress(" "), " ", prefill=False)
    assert list(request.messages) == [Message("user", "hi")]


def test_half_a_character_is_not_sent_to_a_provider_r6() -> None:
    for prefill in (True, False):
        assert continuation(progress("a\ud83d"), "a\ud83d", prefill=prefill).messages[1] == Message("assistant", "a")


def test_an_answer_that_the_caller_began_stays_one_message_r6() -> None:
    begun = (Message("user", "hi"), Message("assistant", "So ", {"name": "x"}))
    request = continuation(progress("it is", messages=begun), "it is", prefill=True)
    assert list(request.messages) == [begun[0], Message("assistant", "So it is", {"name": "x"})]
    parts = (Message("assistant", [{"type": "text", "text": "So "}]),)
    request = continuation(progress("it is", messages=parts), "it is", prefill=True)
    assert list(request.messages) == [*parts, Message("assistant", "it is")]
    assert list(continuation(progress("x", messages=()), "x", prefill=True).messages) == [Message("assistant", "x")]


def test_a_very_long_answer_is_not_kept_for_a_rescue_r6() -> None:
    one = progress("x" * MAX_RESCUE_CHARACTERS)
    assert rescuable(one)
    one.take(columns([Delta("y")]), 0.0)
    one.take(columns([Delta("z")]), 0.0)
    assert not rescuable(one)
    assert one.answer == []
