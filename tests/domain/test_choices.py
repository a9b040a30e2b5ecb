"""Several choices at once: the answer is whole when each that has begun has its finish reason (R4, K1)."""

import pytest

from adapters.providers.demo_scripts import Script
from domain.delta import Delta
from domain.model import Complete, Event, Failed
from tests.domain.parts import House, ask, context, read_all

FIRST, SECOND = Delta("a"), Delta("b", choice=1)
STOP = tuple(Delta(finish_reason="stop", choice=choice) for choice in (0, 1))


async def answered(house: House, times: int = 1) -> list[Event]:
    """The last of so many equal requests for two choices."""
    service, events = house.build(), list[Event]()
    for _ in range(times):
        attachment = await service.open(ask("p/m", n=2), context())
        events = await read_all(attachment)
        attachment.close()
        await house.clock.advance(0)
    return events


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("end", [(STOP[0],), (STOP[0], STOP[0]), (STOP[1],)], ids=["first", "first twice", "second"])
async def test_a_choice_that_never_finished_is_a_failure_and_is_not_stored_r4_k1(
    end: tuple[Delta, ...], batch: int
) -> None:
    house = House(scripts={"m": Script((FIRST, SECOND, *end), finish_reason=None, batch=batch)})
    last = (await answered(house, times=2))[-1]
    assert isinstance(last, Failed)
    assert last.code == "upstream_truncated"
    assert house.demo.calls == 2
    (report,) = house.breakers.reports(["p/m"])
    assert report.failures == 2


@pytest.mark.parametrize(
    "pieces", [(FIRST, STOP[0]), (FIRST, SECOND, *STOP), (FIRST, STOP[0], SECOND, STOP[1])], ids=["one", "two", "turns"]
)
async def test_choices_that_were_asked_for_and_never_begun_are_not_missed_r4(pieces: tuple[Delta, ...]) -> None:
    """A provider that ignores `n` answers once."""
    house = House(scripts={"m": Script(pieces, finish_reason=None)})
    assert isinstance((await answered(house, times=2))[-1], Complete)
    assert house.demo.calls == 1


async def test_a_choice_that_finishes_twice_does_not_stand_for_the_other_r5() -> None:
    house = House(scripts={"m": Script((FIRST, SECOND, STOP[0], STOP[0]), finish_reason=None, stall_at=4)})
    attachment = await house.build().open(ask("p/m", n=2), context(grace=100.0))
    await house.pass_time(2)
    assert house.demo.open == 1  # it is waited for, and not only for what lingers behind the end
    await house.pass_time(30)
    assert isinstance((await read_all(attachment))[-1], Failed)
    attachment.close()
