"""A generation that is cancelled at any of its steps gives back all that it holds: probe, permit, upstream (B3, R8)."""

import asyncio

import pytest

from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import ProviderUnavailableError
from domain.model import BreakerState, Cancelled
from tests.domain.parts import TEXT, House, ask, context, read_all

MOST_STEPS, SLOW_STEPS = 200, 60
"""No time passes here: the slow one waits for its first event long before so many."""
PIECES = text_pieces(TEXT)


class SlowBoard(MemoryBreakerBoard):
    """What it is asked is done halfway through its time, as with a board on Redis."""

    async def publish(self, target: str, state: BreakerState | None) -> None:
        await asyncio.sleep(0)
        await super().publish(target, state)
        await asyncio.sleep(0)

    async def acquire_probe(self, target: str, holder: str, seconds: float) -> bool:
        await asyncio.sleep(0)
        acquired = await super().acquire_probe(target, holder, seconds)
        await asyncio.sleep(0)
        return acquired

    async def release_probe(self, target: str, holder: str) -> None:
        await super().release_probe(target, holder)
        await asyncio.sleep(0)


SCRIPTS = {
    "bad": Script(error=ProviderUnavailableError),
    "cut": Script(PIECES, error=ProviderUnavailableError, error_at=2),
    "well": Script(PIECES),
    "slow": Script(PIECES, first_delay=1.0, delay=1.0),
}


@pytest.mark.parametrize("first", list(SCRIPTS))
async def test_whenever_it_is_cancelled_nothing_is_held_any_more_b3_r8(first: str) -> None:
    for steps in range(MOST_STEPS):
        house = House(scripts=SCRIPTS, routes={"fast": (f"p/{first}", "p/well")}, permits=4)
        service = house.build()
        house.board = house.breakers._board = SlowBoard(house.clock)
        for target in (f"p/{first}", "p/well"):
            await house.board.publish(target, BreakerState(house.clock.monotonic(), 1))
        attachment = await service.open(ask("fast"), context(grace=1000.0))
        generation = house.generations.get(attachment.info.stream_id)
        assert generation is not None
        for _ in range(steps):
            await asyncio.sleep(0)
        ended = generation.terminal is not None
        generation.cancel("requested")
        (end,) = (await asyncio.wait_for(read_all(attachment), 5))[-1:]
        attachment.close()
        assert generation.task is not None
        await generation.task
        assert ended or isinstance(end, Cancelled)
        assert list(house.board._leases.held()) == [], steps
        assert not house.breakers._calls, steps
        assert house.target_permits is not None
        assert house.target_permits.occupancy()["headgate_permits_in_use"]() == 0, steps
        assert not house.sweeper._alarms, steps
        if ended or (first == "slow" and steps > SLOW_STEPS):
            return
    raise AssertionError("it did not end")
