"""Requests that end while they wait for a slot: the line goes on without them, and each is settled once (Q3, Q6)."""

import asyncio
from collections.abc import Sequence

import pytest

from adapters.memory.stream_log import MemoryStreamLog
from adapters.providers.demo_scripts import Script, text_pieces
from domain.model import TERMINAL, Complete, Event, Lease
from tests.domain.parts import CALLER, TEXT, House, ask, context, read_all

SCRIPTS = {"slow": Script(text_pieces(TEXT), delay=9.0)}


class SlowLog(MemoryStreamLog):
    """A log that takes its time with the ends of streams, and notes what nobody should have appended."""

    written: "asyncio.Event | None" = None
    refused = 0

    def append(self, lease: Lease, events: Sequence[Event]) -> None:
        self.refused += 1
        super().append(lease, events)
        self.refused -= 1

    async def settle(self, lease: Lease) -> None:
        if self.written is not None:
            await self.written.wait()


@pytest.mark.parametrize("expires", [False, True])
async def test_nobody_is_told_of_its_place_after_its_end_q3_s4(expires: bool) -> None:
    """Cancelled or expired: while its end is on the way to the log, its place in the line still changes."""
    log = SlowLog((clock := House().clock), max_bytes=2**24)
    house = House(scripts=SCRIPTS, slots_in_all=1, log=log, clock=clock)
    service = house.build()
    running = asyncio.create_task(house.admission.run())
    holder = await service.open(ask("p/slow"), context("t0"))
    waits = [await service.open(ask("p/ok", str(number)), context(f"t{number}")) for number in range(1, 4)]
    await house.clock.advance(0)
    log.written = asyncio.Event()
    if expires:
        await house.pass_time(61)
    else:
        await service.cancel(waits[2].info.stream_id, CALLER)
        await house.clock.advance(0)
        await service.cancel(waits[0].info.stream_id, CALLER)
    await house.queue.remove(waits[0].info.stream_id)
    await house.pass_time(3)
    log.written.set()
    assert (log.refused, running.done()) == (0, False)
    await house.pass_time(3)
    assert sum(isinstance(event, TERMINAL) for event in await asyncio.wait_for(read_all(waits[2]), 5)) == 1
    for attachment in (holder, *waits):
        attachment.close()
    await house.pass_time(1)
    later = await service.open(ask("p/ok", "later"), context("t4"))
    await house.clock.advance(0)
    assert isinstance((await asyncio.wait_for(read_all(later), 5))[-1], Complete)
    assert not running.done()
    running.cancel()
    later.close()
