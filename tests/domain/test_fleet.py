"""Streams that are read and cancelled on other replicas, as the one that fills them sees it."""

import asyncio

from adapters.memory.stream_log import MemoryStreamLog
from adapters.providers.demo_scripts import Script, text_pieces
from domain.errors import StreamLogUnavailableError
from domain.model import Cancelled, Complete, Lease, StreamInfo
from domain.services.streams import StreamService
from ports.fleet import Fleet
from ports.stream_log import Reader
from tests.domain.fake_fleet import FakeFleet
from tests.domain.parts import CALLER, TEXT, House, ask, context, read_all

SLOW = {"slow": Script(text_pieces(TEXT), delay=100.0)}


def house(fleet: Fleet) -> tuple[House, StreamService]:
    one = House(scripts=SLOW, fleet=fleet)
    return one, one.build()


async def test_a_stream_that_nobody_reads_anywhere_is_given_up_at_once() -> None:
    """S7."""
    parts, service = house(fleet := FakeFleet())
    attachment = await service.open(ask("p/slow"), context())
    await parts.clock.advance(0)
    attachment.close()
    await parts.clock.advance(0)
    assert len(parts.generations) == 0
    assert fleet.asked == 1
    assert parts.demo.open == 0


async def test_a_stream_that_is_read_elsewhere_goes_on_until_its_reader_there_has_left() -> None:
    """C2, S7."""
    parts, service = house(fleet := FakeFleet(elsewhere=True))
    attachment = await service.open(ask("p/slow"), context())
    await parts.clock.advance(0)
    attachment.close()
    await parts.pass_time(20.0)
    assert len(parts.generations) == 1
    fleet.elsewhere = False
    fleet.left(attachment.info.stream_id)
    await parts.clock.advance(0)
    assert len(parts.generations) == 0


async def test_a_reader_elsewhere_that_dies_unheard_is_noticed() -> None:
    parts, service = house(fleet := FakeFleet(elsewhere=True))
    attachment = await service.open(ask("p/slow"), context())
    await parts.clock.advance(0)
    attachment.close()
    await parts.clock.advance(0)
    fleet.elsewhere = False
    await parts.pass_time(6.0)
    assert len(parts.generations) == 0


async def test_who_comes_back_while_the_fleet_is_asked_keeps_the_stream() -> None:
    parts, service = house(FakeFleet())
    attachment = await service.open(ask("p/slow"), context())
    await parts.clock.advance(0)
    attachment.close()
    back = await service.attach(attachment.info.stream_id, CALLER)
    await parts.clock.advance(0)
    assert len(parts.generations) == 1
    back.close()


async def test_the_grace_counts_from_the_last_reader_anywhere() -> None:
    """S7."""
    parts, service = house(fleet := FakeFleet(elsewhere=True))
    attachment = await service.open(ask("p/slow"), context(grace=10.0))
    await parts.clock.advance(0)
    attachment.close()
    await parts.pass_time(12.0)
    fleet.elsewhere = False
    fleet.left(attachment.info.stream_id)
    await parts.pass_time(9.0)
    assert len(parts.generations) == 1
    await parts.pass_time(2.0)
    assert len(parts.generations) == 0


async def test_cancelled_elsewhere_is_cancelled() -> None:
    """S7: from any replica."""
    parts, service = house(fleet := FakeFleet())
    attachment = await service.open(ask("p/slow"), context())
    await parts.clock.advance(0)
    fleet.on_cancel(attachment.info.stream_id)
    assert (await read_all(attachment))[-1] == Cancelled("requested")
    fleet.on_cancel(attachment.info.stream_id)
    fleet.left(attachment.info.stream_id)


async def test_what_is_not_filled_here_is_cancelled_elsewhere() -> None:
    parts, service = house(fleet := FakeFleet())
    attachment = await service.open(ask("p/ok"), context())
    await read_all(attachment)
    await service.cancel(attachment.info.stream_id, CALLER)
    assert fleet.cancelled == [attachment.info.stream_id]
    assert len(parts.generations) == 0


class UnreadableElsewhere(MemoryStreamLog):
    """Another replica holds every key, and its streams cannot be read from here."""

    async def open_shared(self, info: StreamInfo, key: str) -> Lease | StreamInfo:
        return StreamInfo("s_other", "e", info.model, info.created, "t_other")

    async def follow(self, stream_id: str, after: object = None) -> Reader | None:  # type: ignore[override]
        if stream_id == "s_other":
            raise StreamLogUnavailableError("down")
        return await super().follow(stream_id)


async def test_what_cannot_be_joined_is_answered_anew() -> None:
    """C1: at most one call a replica while Redis is down; nothing raises to a client."""
    one = House()
    one.log = UnreadableElsewhere(one.clock, max_bytes=2**24)
    service = one.build()
    attachment = await service.open(ask("p/ok"), context())
    events = await read_all(attachment)
    assert isinstance(events[-1], Complete)
    assert one.demo.calls == 1
    attachment.close()
    await asyncio.sleep(0)
