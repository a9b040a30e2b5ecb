"""The work behind a stream: attempts, their failures, and that everything is settled whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from adapters.providers.demo_scripts import Script, text_pieces
from domain.delta import Delta
from domain.errors import (
    ModelNotFoundError,
    ProviderRequestError,
    ProviderUnavailableError,
    ServerDrainingError,
    StreamNotFoundError,
    StreamNotResumableError,
)
from domain.model import (
    TERMINAL,
    BreakerState,
    CacheStatus,
    Cancelled,
    Complete,
    CompletionRequest,
    Event,
    Failed,
    Outcome,
)
from domain.services.streams import StreamService
from ports.defects import Where
from ports.provider import Provider
from tests.domain.parts import CALLER, TEXT, House, ask, context, read_all

PIECES = text_pieces(TEXT)


async def outcome(house: House, service: StreamService, request: CompletionRequest, seconds: float = 0) -> list[Event]:
    """The events of a request, after that many seconds."""
    attachment = await service.open(request, context(lookup=False, grace=1000.0))
    await house.pass_time(seconds)
    events = await asyncio.wait_for(read_all(attachment), 5)
    attachment.close()
    assert sum(isinstance(event, TERMINAL) for event in events) == 1  # S4
    assert (len(house.generations), len(house.slots)) == (0, 0)
    return events


async def test_an_answer_is_its_deltas_and_one_end() -> None:
    house = House()
    events = await outcome(house, house.build(), ask())
    assert "".join(event.text for event in events if isinstance(event, Delta)) == TEXT
    assert isinstance(events[-1], Complete)
    (record,) = house.recorder.records
    assert (record.outcome, record.attempts, record.target) == (Outcome.SERVED, 1, "p/ok")
    assert sum(record.gaps) == len(events) - 2
    assert [stage for stage, _ in record.stages][-1] == "5.0_LLM_STREAMING"


async def test_a_retryable_failure_is_tried_again_after_a_pause_r1() -> None:
    house = House(scripts={"bad": Script(error=ProviderUnavailableError)})
    events = await outcome(house, house.build(), ask("p/bad"), seconds=10)
    assert events == [Failed("provider_unavailable", events[-1].message, retryable=True)]  # type: ignore[union-attr]
    assert house.demo.calls == 3
    assert house.board.state("p/bad") is not None  # three failures open this policy's breaker


async def test_the_next_target_answers_where_the_first_cannot_r1() -> None:
    scripts = {"bad": Script(error=ProviderUnavailableError), "silent": Script(PIECES, stall_at=0)}
    house = House(scripts=scripts, routes={"fast": ("p/bad", "p/silent", "p/ok")})
    events = await outcome(house, house.build(), ask("fast"), seconds=20)
    assert isinstance(events[-1], Complete)
    assert events[-1].target == "p/ok"
    assert house.demo.calls == 5  # three tries, a silent one that is not repeated, the good one
    assert house.demo.open == 0


async def test_a_refused_request_goes_nowhere_else_r1() -> None:
    house = House(scripts={"refused": Script(error=ProviderRequestError)}, routes={"fast": ("p/refused", "p/ok")})
    events = await outcome(house, house.build(), ask("fast"))
    assert [event.code for event in events if isinstance(event, Failed)] == ["provider_rejected_request"]
    assert house.demo.calls == 1
    assert house.board.state("p/refused") is None  # B5: it says nothing about the target


async def test_an_answer_that_breaks_off_is_finished_by_the_next_target_r6() -> None:
    house = House(scripts={"breaks": Script(PIECES, error=ProviderUnavailableError, error_at=2)})
    house.routes = {"fast": ("p/breaks", "p/ok")}
    events = await outcome(house, house.build(), ask("fast"), seconds=5)
    assert "".join(event.text for event in events if isinstance(event, Delta)) == TEXT
    assert [type(event) for event in events if not isinstance(event, Delta)] == [Complete]
    assert house.demo.calls == 2


async def test_silence_is_a_failure_before_the_first_event_and_between_two_r2() -> None:
    house = House(scripts={"silent": Script(PIECES, stall_at=0), "stalls": Script(PIECES, stall_at=2)})
    service = house.build()
    first = await outcome(house, service, ask("p/silent"), seconds=11)
    assert isinstance(first[-1], Failed)
    later = await outcome(house, service, ask("p/stalls"), seconds=31)
    assert isinstance(later[-1], Failed)
    assert (first[-1].code, later[-1].code) == ("provider_timeout", "provider_timeout")
    assert house.demo.open == 0


async def test_an_answer_may_not_take_longer_than_it_may_in_all() -> None:
    house = House(scripts={"slow": Script(PIECES * 100, delay=5.0)})
    events = await outcome(house, house.build(), ask("p/slow"), seconds=101)
    assert isinstance(events[-1], Failed)
    assert events[-1].message == "The answer took longer than it may in all."


async def test_nothing_is_called_while_every_breaker_is_open() -> None:
    house = House(routes={"fast": ("p/ok", "p/other")})
    service = house.build()
    for target in ("p/ok", "p/other"):
        await house.board.publish(target, BreakerState(house.clock.monotonic() + 7.0, 1))
    events = await outcome(house, service, ask("fast"))
    assert isinstance(events[-1], Failed)
    assert (events[-1].code, events[-1].retry_after) == ("circuit_open", 7.0)
    assert house.demo.calls == 0


async def test_after_every_choice_has_finished_nothing_is_waited_for_and_nothing_fails_r5() -> None:
    finish = (Delta(finish_reason="stop", choice=0), Delta(finish_reason="stop", choice=1))
    house = House(
        scripts={
            "lingers": Script((*PIECES, *finish), finish_reason=None, stall_at=len(PIECES) + 2),
            "breaks": Script((*PIECES, *finish), finish_reason=None, error=ProviderUnavailableError, error_at=7),
            "half": Script((*PIECES, finish[0]), finish_reason=None, stall_at=len(PIECES) + 1),
        }
    )
    service = house.build()
    for model, seconds in (("p/lingers", 2.0), ("p/breaks", 0.0)):
        events = await outcome(house, service, ask(model, n=2), seconds)
        assert isinstance(events[-1], Complete)
    # One of two choices is still owed: its silence is a failure.
    assert isinstance((await outcome(house, service, ask("p/half", n=2), 31))[-1], Failed)


class Broken(AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]):
    """An attempt that cannot begin."""

    async def __aenter__(self) -> AsyncIterator[Sequence[Delta]]:
        raise ZeroDivisionError("planted")

    async def __aexit__(self, *error: object) -> None:
        pass


class Defect(Provider):
    """A provider with a bug: what it raises is of no family of ours."""

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        return Broken()

    async def aclose(self) -> None:
        pass


async def test_a_defect_of_ours_ends_the_stream_settles_and_is_reported_s4() -> None:
    house = House(provider=Defect())
    attachment = await house.build().open(ask(), context())
    (generation,) = house.generations._running.values()
    events = await asyncio.wait_for(read_all(attachment), 5)
    assert events == [Failed("internal_error", "Something went wrong on our side.", retryable=True)]
    attachment.close()
    assert generation.task is not None
    await generation.task
    assert [(where, type(error)) for where, error in house.defects.reported] == [(Where.GENERATION, ZeroDivisionError)]
    assert (len(house.generations), len(house.slots)) == (0, 0)


async def test_cancelled_before_it_began_it_still_ends_and_settles() -> None:
    house = House(tokens_per_minute=1000)
    service = house.build()
    attachment = await service.open(ask(max_tokens=900), context())
    (generation,) = house.generations._running.values()
    generation.cancel("requested")
    generation.cancel("again")
    assert await asyncio.wait_for(read_all(attachment), 5) == [Cancelled("requested")]
    assert generation.reason == "requested"
    assert house.demo.calls == 0
    attachment.close()
    attachment.close()
    # S7, L4: what was reserved is there again.
    again = await service.open(ask(max_tokens=900), context(lookup=False))
    assert isinstance((await asyncio.wait_for(read_all(again), 5))[-1], Complete)
    again.close()


async def test_a_stopped_loop_is_a_cancellation_too() -> None:
    house = House(scripts={"stalls": Script(PIECES, stall_at=2)})
    attachment = await house.build().open(ask("p/stalls"), context())
    await house.clock.advance(0)
    (generation,) = house.generations._running.values()
    assert generation.task is not None
    generation.task.cancel()
    assert (await asyncio.wait_for(read_all(attachment), 5))[-1] == Cancelled("stopped")
    await generation.task
    generation.cancel("late")
    assert generation.reason is None


async def test_nobody_joins_what_is_being_cancelled_c2() -> None:
    house = House(scripts={"stalls": Script(PIECES, stall_at=2)})
    service = house.build()
    first = await service.open(ask("p/stalls"), context())
    await house.clock.advance(0)
    first.close()  # a grace of 0: it is being cancelled now, and has not ended yet
    second = await service.open(ask("p/stalls"), context())
    assert second.cache is CacheStatus.MISS
    assert second.info.stream_id != first.info.stream_id
    await house.clock.advance(0)
    assert house.demo.calls == 2
    await house.generations.aclose()
    assert [record.outcome for record in house.recorder.records] == [Outcome.CANCELLED] * 2


async def test_draining_refuses_new_work_and_ends_what_runs_s12() -> None:
    house = House(scripts={"stalls": Script(PIECES, stall_at=2)}, routes={"fast": ("p/ok",)})
    service = house.build()
    assert service.models == ("fast",)
    attachment = await service.open(ask("p/stalls"), context())
    await house.clock.advance(0)
    service.drain()
    assert service.draining
    with pytest.raises(ServerDrainingError):
        await service.open(ask(), context())
    await house.generations.aclose()
    assert (await read_all(attachment))[-1] == Cancelled("draining")


async def test_models_that_are_not_there_cost_nothing() -> None:
    house = House()
    service = house.build()
    with pytest.raises(ModelNotFoundError):
        await service.open(ask("nope"), context())
    assert house.recorder.records == ()


async def test_streams_of_others_and_of_nobody_are_not_found_s6() -> None:
    house = House()
    service = house.build()
    attachment = await service.open(ask(), context())
    attachment.release()
    attachment.release()
    for stream_id in ("s_x", service._ids.create("other")):
        with pytest.raises(StreamNotFoundError):
            await service.attach(stream_id, CALLER)
        with pytest.raises(StreamNotFoundError):
            await service.cancel(stream_id, CALLER)
    gone = service._ids.create(CALLER.tenant)
    with pytest.raises(StreamNotResumableError):
        await service.attach(gone, CALLER)
    await service.cancel(gone, CALLER)
    await house.clock.advance(0)


@pytest.mark.parametrize(("stall_at", "used"), [(0, 0), (3, 3)])
async def test_without_usage_tokens_are_estimated_from_what_was_sent_l4(stall_at: int, used: int) -> None:
    house = House(scripts={"stalls": Script(PIECES, stall_at=stall_at)}, tokens_per_minute=1000)
    service = house.build()
    attachment = await service.open(ask("p/stalls", max_tokens=900), context())
    await house.clock.advance(0)
    attachment.close()
    await house.clock.advance(0)
    again = await service.open(ask("p/ok", max_tokens=1), context(lookup=False))
    assert again.verdict is not None
    assert again.verdict.tokens is not None
    assert again.verdict.tokens.remaining == 1000 - used - 1
    again.close()
    await house.clock.advance(0)


async def test_an_end_without_a_finish_reason_is_a_failure_r4() -> None:
    house = House(scripts={"cut": Script(PIECES, finish_reason=None)})
    events = await outcome(house, house.build(), ask("p/cut"), seconds=10)
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "upstream_truncated"


async def test_what_may_not_be_stored_is_not_kept_k4() -> None:
    house = House()
    service = house.build()
    for _ in range(2):
        attachment = await service.open(ask(), context(store=False))
        await house.clock.advance(0)
        assert isinstance((await read_all(attachment))[-1], Complete)
        attachment.close()
    assert house.demo.calls == 2


async def test_a_cancel_ends_what_runs_and_an_ended_stream_can_be_read_and_cancelled_again_s7() -> None:
    house = House(scripts={"stalls": Script(PIECES, stall_at=2)})
    service = house.build()
    attachment = await service.open(ask("p/stalls"), context())
    await house.clock.advance(0)
    await service.cancel(attachment.info.stream_id, CALLER)
    assert (await read_all(attachment))[-1] == Cancelled("requested")
    await house.clock.advance(0)
    await service.cancel(attachment.info.stream_id, CALLER)
    again = await service.attach(attachment.info.stream_id, CALLER)
    assert again.generation is None
    assert (await read_all(again))[-1] == Cancelled("requested")
    again.close()
    attachment.close()
