"""The walls of the Redis adapters: somebody who is told raises, and others' streams and commands go on (G1, G8)."""

import asyncio
from collections.abc import Callable

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.defects import MemoryDefects
from adapters.redis.breaker_board import RedisBreakerBoard
from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.errors import RedisUnavailableError
from adapters.redis.stream_mirror import StreamMirror
from domain.errors import StreamNotResumableError
from domain.model import BreakerState
from ports.defects import Where
from ports.fleet import FleetEvent
from tests.adapters.test_redis_stream_log import replica
from tests.contracts.events import END, append, deltas, follow, info, read, read_to_end
from tests.domain.planted import Planted, plant, plant_later
from tests.redis_cases import unheard, untimed
from tests.redis_server import RedisServer
from tests.service import until


async def test_a_flight_with_a_defect_fails_its_own_commands_and_the_next_one_leaves_g1(server: RedisServer) -> None:
    defects = MemoryDefects()
    client = RedisClient(connector(server.url), untimed, unheard, pool_min=1, defects=defects)
    await client.start()
    try:
        answered, client._hot._answered = client._hot._answered, plant
        client._hot._refused = plant
        with pytest.raises(RedisUnavailableError, match="DEFECT"):
            await client.execute("NOSUCHCOMMAND")
        assert await client.execute("SET", "a", "1") == b"OK"  # the reply was there before the defect
        client._hot._answered = answered
        assert await client.execute("GET", "a") == b"1"
        assert defects.places == [Where.REDIS] * 2
        assert defects.broken is None
    finally:
        await client.aclose()


async def test_a_look_at_the_deadlines_that_raises_is_followed_by_another_g1(server: RedisServer) -> None:
    """Else whoever waits for a Redis that hangs would wait for ever."""
    defects = MemoryDefects()
    client = RedisClient(connector(server.url), untimed, unheard, pool_min=1, defects=defects)
    await client.start()
    try:
        look, looks = client._hot._time._look, list[float]()

        def raises_once(now: float, held: bool) -> bool:
            looks.append(now)
            if len(looks) == 1:
                raise Planted
            return look(now, held)

        client._hot._time._look = raises_once
        server.pause()
        async with asyncio.timeout(5):
            with pytest.raises(RedisUnavailableError):
                await client.execute("GET", "a", timeout=0.1)
        assert defects.places[0] is Where.REDIS
    finally:
        server.resume()
        await client.aclose()


async def test_who_hears_that_redis_comes_and_goes_may_raise_g1(server: RedisServer) -> None:
    defects = MemoryDefects()
    client = RedisClient(connector(server.url), untimed, plant, pool_min=3, defects=defects)
    client._health._reported = (False, float("-inf"))  # so that its coming is told
    await client.start()
    try:
        assert defects.places == [Where.REDIS]
        await until(lambda: client.connections == 3)  # what comes after the telling
        assert await client.execute("SET", "a", "1") == b"OK"
    finally:
        await client.aclose()


async def test_a_health_check_that_only_raises_ends_the_part_and_holds_up_no_start_g8(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.redis.health.PROBE_SECONDS", (0.0, 0.001))
    defects = MemoryDefects()
    client = RedisClient(connector(server.url), untimed, unheard, pool_min=1, defects=defects)
    client._health._ping = plant_later
    async with asyncio.timeout(5):
        await client.start()
        await until(lambda: defects.broken == "redis")
    await client.aclose()
    assert len(defects.failed) == 1


async def test_a_connection_that_nobody_can_be_told_of_is_reported_g1(server: RedisServer) -> None:
    defects = MemoryDefects()
    client = RedisClient(connector(server.url), untimed, unheard, pool_min=2, defects=defects)
    await client.start()
    try:
        client._pool._failed = plant
        client._pool._connector = connector("redis://127.0.0.1:1/0")
        client._pool._discard(client._pool._idle.popleft().connection)
        await until(lambda: defects.places == [Where.REDIS])
    finally:
        await client.aclose()


def poisoned(monkeypatch: pytest.MonkeyPatch, method: str, stream_id: str) -> None:
    """This method of one stream raises."""
    real: Callable[..., object] = getattr(StreamMirror, method)

    def raises(mirror: StreamMirror, *given: object) -> object:
        if mirror.info.stream_id == stream_id:
            raise Planted
        return real(mirror, *given)

    monkeypatch.setattr(StreamMirror, method, raises)


async def test_a_stream_whose_reply_cannot_be_taken_ends_and_the_others_of_its_flight_are_shown_g1(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica(server) as one:
        bad, good = await one.log.open(info("s_bad")), await one.log.open(info())
        await append(one.log, bad, deltas(1))
        hurt, well = await follow(one.log, stream_id="s_bad"), await follow(one.log)
        assert list(await read(hurt)) == deltas(1)
        with monkeypatch.context() as planting:
            poisoned(planting, "show", "s_bad")
            planting.setattr(StreamMirror, "lose", lambda mirror: setattr(mirror, "lost", True))
            one.log.append(bad, deltas(1, first=1))
            one.log.append(good, [*deltas(2), END])
            assert [*await read_to_end(well)] == [*deltas(2), END]
        assert one.defects.places == [Where.STREAM_LOG]
        with pytest.raises(StreamNotResumableError):
            await read(hurt)
        with pytest.raises(StreamNotResumableError):
            one.log.append(bad, deltas(1))


async def test_an_outage_with_a_stream_that_has_a_defect_hurts_no_other_s14_g1(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica(server) as one:
        bad, good = await one.log.open(info("s_bad")), await one.log.open(info())
        for lease in (bad, good):
            await append(one.log, lease, deltas(1))
        well = await follow(one.log)
        await read(well)
        with monkeypatch.context() as planting:
            poisoned(planting, "show", "s_bad")
            planting.setattr(StreamMirror, "lose", lambda mirror: None)
            server.pause()
            one.log.append(bad, deltas(1, first=1))
            one.log.append(good, [*deltas(1, first=1), END])
            assert [*await read_to_end(well)] == [*deltas(1, first=1), END]
        server.resume()
        assert Where.STREAM_LOG in one.defects.places


async def test_a_round_trip_with_a_defect_is_like_an_outage_and_many_end_the_part_g8(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica(server) as one:
        lease = await one.log.open(info())
        await append(one.log, lease, deltas(1))
        reader = await follow(one.log)
        await read(reader)
        with monkeypatch.context() as planting:
            planting.setattr(one.client, "evalsha", plant_later)
            one.log.append(lease, deltas(1, first=1))
            assert list(await read(reader)) == deltas(1, first=1)
            assert not reader.resumable
            await until(lambda: one.defects.broken == "stream_log", 15)
        assert one.defects.places[0] is Where.STREAM_LOG


async def test_a_stream_of_another_process_with_a_defect_ends_here_and_the_others_go_on_g1(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica(server) as one, replica(server) as other:
        bad, good = await one.log.open(info("s_bad")), await one.log.open(info())
        for lease in (bad, good):
            await append(one.log, lease, deltas(1))
        hurt, well = await follow(other.log, stream_id="s_bad"), await follow(other.log)
        for reader in (hurt, well):
            await read(reader)
        take = other.log._follower._take

        def raises(mirror: StreamMirror, entries: object) -> bool:
            if mirror.info.stream_id == "s_bad":
                raise Planted
            return take(mirror, entries)

        monkeypatch.setattr(other.log._follower, "_take", raises)
        await append(one.log, bad, deltas(1, first=1))
        await append(one.log, good, [*deltas(1, first=1), END])
        assert [*await read_to_end(well)] == [*deltas(1, first=1), END]
        with pytest.raises(StreamNotResumableError):
            await read(hurt)
        assert other.defects.places == [Where.STREAM_LOG]
        assert other.defects.broken is None


async def test_a_look_at_a_followed_stream_that_raises_ends_that_stream_alone_g1(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as other:
        for name in ("s-1", "s_bad"):
            await append(one.log, await one.log.open(info(name)), deltas(1))
        hurt, well = await follow(other.log, stream_id="s_bad"), await follow(other.log)
        for reader in (hurt, well):
            await read(reader)
        follower = other.log._follower
        watch, watched = follower._watch, list[str]()

        async def raises(mirror: StreamMirror) -> None:
            if mirror.info.stream_id == "s_bad":
                raise Planted
            await watch(mirror)
            watched.append(mirror.info.stream_id)

        follower._watch = raises  # type: ignore[method-assign]
        with pytest.raises(StreamNotResumableError):
            await read(hurt)
        await until(lambda: bool(watched))
        assert other.defects.places == [Where.STREAM_LOG]


async def test_a_listener_that_raises_keeps_no_other_word_from_being_heard_g1(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as other:
        heard = asyncio.Event()
        one.log.listen(FleetEvent.CANCEL, plant)
        one.log.listen(FleetEvent.LEFT, lambda _: heard.set())
        lease = await one.log.open(info())
        await append(one.log, lease, deltas(1))
        reader = await follow(other.log)
        await read(reader)
        await other.log.cancel_elsewhere("s-1")
        await until(lambda: one.defects.places == [Where.FLEET])
        reader.close()
        await asyncio.wait_for(heard.wait(), 5)
        assert one.defects.broken is None


async def test_who_is_told_that_a_stream_was_taken_may_raise_s8_g1(server: RedisServer) -> None:
    async with replica(server) as one:
        one.log.listen(FleetEvent.TAKEN, plant)
        taken, well = await one.log.open(info("s_taken")), await one.log.open(info())
        for lease in (taken, well):
            await append(one.log, lease, [])
        one.log._taken("9 s_taken")
        assert one.defects.places == [Where.FLEET]
        await append(one.log, well, [*deltas(1), END])


async def test_a_task_of_the_follower_with_a_defect_is_reported_g1(server: RedisServer) -> None:
    async with replica(server) as one:
        one.log._follower._own(plant_later())
        await until(lambda: one.defects.places == [Where.STREAM_LOG])


async def test_a_board_that_cannot_ask_whether_a_target_is_well_believes_the_others_b1_g1(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as other:
        here = RedisBreakerBoard(one.client, SystemClock(), one.defects)
        there = RedisBreakerBoard(other.client, SystemClock())
        here.ask(plant)  # type: ignore[arg-type]
        await there.publish("p/m", BreakerState(SystemClock().monotonic() + 60, 1))
        await here.start()
        assert here.state("p/m") is not None
        assert set(one.defects.places) == {Where.BREAKERS}
        await here.aclose()
        assert one.defects.broken is None
