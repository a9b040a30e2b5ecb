"""What only the stream log on Redis promises: fencing, takeover, outages, what is left behind. On a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from adapters.memory.clock import SystemClock
from adapters.memory.defects import MemoryDefects
from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.stream_appender import LEASE_SECONDS, NOT_RESUMABLE
from adapters.redis.stream_log import RedisStreamLog
from adapters.redis.stream_mirror import decode_info, encode_info
from domain.delta import Delta, Dialect, Usage
from domain.errors import StreamLogUnavailableError, StreamNotResumableError
from domain.model import Event, Failed, Lease, Position, StreamInfo
from ports.defects import Where
from ports.fleet import FleetEvent
from ports.stream_log import Reader
from tests.contracts.events import END, EPOCH, append, deltas, follow, info, read, read_to_end, waiting_read
from tests.redis_cases import later, redis_client, unheard, untimed
from tests.redis_server import RedisServer
from tests.service import until


@dataclass
class Replica:
    """One process's log and its client."""

    log: RedisStreamLog
    client: RedisClient
    defects: MemoryDefects


@asynccontextmanager
async def replica(server: RedisServer, retention: float = 60.0) -> AsyncIterator[Replica]:
    defects = MemoryDefects()
    client = RedisClient(connector(server.url), untimed, unheard, pool_min=1, defects=defects)
    await client.start()
    log = RedisStreamLog(client, SystemClock(), retention, max_bytes=10**8, defects=defects)
    log.start()
    try:
        yield Replica(log, client, defects)
    finally:
        await log.aclose()
        await client.aclose()


async def pass_lease(client: RedisClient) -> None:
    await later(client, LEASE_SECONDS + 1)


async def texts(reader: Reader) -> list[str]:
    return [event.text for event in await read_to_end(reader) if isinstance(event, Delta)]


async def test_a_dead_producer_s_readers_get_its_end(server: RedisServer) -> None:
    """S8: whoever looks ends it; the partial text is kept."""
    async with replica(server) as alive:
        async with replica(server) as dead:
            await append(dead.log, await dead.log.open(info()), deltas(3))
        reader = await follow(alive.log)
        assert list(await read(reader)) == deltas(3)
        await pass_lease(alive.client)
        async with asyncio.timeout(15):  # it looks every 2.5 s, and a look may fail
            (end,) = await read(reader)
        assert isinstance(end, Failed)
        assert (end.code, end.retryable, reader.ended) == ("producer_lost", True, True)
        again = await follow(alive.log, Position(EPOCH, 1))
        assert [*await read_to_end(again)] == [*deltas(1, first=2), end]


async def test_deltas_of_one_shape_share_it_in_a_follower_too(server: RedisServer) -> None:
    """However many entries of the log they come in: a shape of its own would double what an event holds."""
    async with replica(server) as one, replica(server) as other:
        lease = await one.log.open(info())
        await append(one.log, lease, [Delta(text="0"), Delta(text="", finish_reason="stop")])
        reader = await follow(other.log)
        await read(reader)
        kept: list[Event] = []
        for number in range(4):
            await append(one.log, lease, deltas(1, first=number))
            kept += await read(reader)
        assert kept == deltas(4)
        assert len({id(event.shape) for event in kept if isinstance(event, Delta)}) == 1


async def test_a_producer_whose_lease_is_over_can_append_nothing(server: RedisServer) -> None:
    """S8: also if nobody has taken the stream; fencing is Redis's."""
    async with replica(server) as one, replica(server) as other:
        lease = await one.log.open(info())
        await append(one.log, lease, deltas(2))
        await pass_lease(other.client)
        one.log.append(lease, deltas(1, first=2))
        with pytest.raises(StreamNotResumableError):
            await one.log.settle(lease)
        with pytest.raises(StreamNotResumableError):
            one.log.append(lease, [END])
        events = await read_to_end(await follow(other.log))
        assert events[:2] == deltas(2)
        assert isinstance(events[2], Failed)
        assert len(events) == 3
        assert await read_to_end(await follow(one.log)) == events  # its own readers get the same end


async def test_a_lease_is_renewed_while_nothing_is_appended(server: RedisServer) -> None:
    """S8."""
    async with replica(server) as one:
        lease = await one.log.open(info())
        await append(one.log, lease, deltas(1))
        left = int(await server.command("HGET", "headgate:meta:{s-1}", "lease"))
        await later(one.client, 8.0)
        mirror = one.log._store.get("s-1")
        assert mirror is not None
        mirror.acked_at -= 6.0
        await until(lambda: one.log.idle and mirror.acked_at > SystemClock().monotonic() - 5.0)
        assert int(await server.command("HGET", "headgate:meta:{s-1}", "lease")) >= left


async def test_without_redis_a_stream_goes_on_from_memory_and_its_log_is_filled_in(server: RedisServer) -> None:
    """S14: ids stay contiguous, it says once that it cannot be resumed, and later it can."""
    async with replica(server) as one, replica(server) as other:
        lease = await one.log.open(info())
        reader = await follow(one.log)
        await append(one.log, lease, deltas(2))
        assert list(await read(reader)) == deltas(2)
        server.pause()
        one.log.append(lease, deltas(1, first=2))
        assert list(await read(reader)) == deltas(1, first=2)
        assert not reader.resumable
        one.log.append(lease, deltas(300, first=3))
        server.resume()
        await until(lambda: reader.resumable)
        await append(one.log, lease, [END])
        expected: list[Event] = [*deltas(303), END]
        assert await read_to_end(await follow(other.log)) == expected
        assert deltas(3) + await read_to_end(reader) == expected


async def test_a_stream_that_begins_and_ends_without_redis_is_written_when_it_is_back(server: RedisServer) -> None:
    """S14."""
    async with replica(server) as one, replica(server) as other:
        server.kill()
        await until(lambda: not one.client.healthy)
        lease = await one.log.open_shared(info(), "key")
        assert isinstance(lease, Lease)
        assert await one.log.open_shared(info("another"), "key") == info()
        await append(one.log, lease, [*deltas(2), END])
        assert await read_to_end(await follow(one.log)) == [*deltas(2), END]
        with pytest.raises(StreamLogUnavailableError):
            await other.log.follow("s-1")
        server.start()
        await until(lambda: other.client.healthy and one.log._store.get("s-1") is not None)
        await until(lambda: not one.log._appender._open)
        assert await read_to_end(await follow(other.log)) == [*deltas(2), END]


async def test_a_log_that_was_lost_is_written_again_while_its_producer_has_it(server: RedisServer) -> None:
    """S14: FLUSHALL under a stream leaves no gap."""
    async with replica(server) as one, replica(server) as other:
        lease = await one.log.open(info())
        await append(one.log, lease, deltas(300))
        reader = await follow(other.log)
        assert len(await read(reader)) == 256
        await server.command("FLUSHALL")
        await append(one.log, lease, [*deltas(2, first=300), END])
        assert await texts(reader) == [str(number) for number in range(256, 302)]
        assert len(await texts(await follow(other.log))) == 302


async def test_a_stream_whose_meta_alone_was_evicted_hurts_no_other(server: RedisServer) -> None:
    """Fault 21: it is written again whole; the streams that share its round trips go on."""
    async with replica(server) as one, replica(server) as other:
        hurt, well = await one.log.open(info("hurt")), await one.log.open(info("well"))
        await append(one.log, hurt, deltas(3))
        await append(one.log, well, deltas(3))
        await server.command("DEL", "headgate:meta:{hurt}")
        one.log.append(hurt, [*deltas(1, first=3), END])
        await append(one.log, well, [*deltas(1, first=3), END])
        await one.log.settle(hurt)
        for name in ("hurt", "well"):
            assert await texts(await follow(other.log, stream_id=name)) == ["0", "1", "2", "3"]
        assert (await follow(one.log, stream_id="well")).resumable


async def test_what_nobody_writes_again_is_lost(server: RedisServer) -> None:
    """S5: a resume after a loss finds nothing."""
    async with replica(server) as one, replica(server) as other:
        await append(one.log, await one.log.open(info()), [*deltas(2), END])
        await server.command("FLUSHALL")
        assert await other.log.follow("s-1") is None


async def test_readers_of_a_log_that_stays_lost_are_told(server: RedisServer) -> None:
    """S5: never a silent gap, nor silence."""
    async with replica(server) as one:
        async with replica(server) as gone:
            await append(gone.log, await gone.log.open(info()), deltas(2))
        reader = await follow(one.log)
        assert list(await read(reader)) == deltas(2)
        waiting = await waiting_read(reader)
        await server.command("FLUSHALL")
        mirror = one.log._store.get("s-1")
        assert mirror is not None
        await until(lambda: mirror.stalled_at is not None)
        mirror.stalled_at = 0.0
        async with asyncio.timeout(5):
            with pytest.raises(StreamNotResumableError):
                await waiting
        assert one.log._store.get("s-1") is None


async def test_the_fleet_knows_who_reads_and_who_cancels(server: RedisServer) -> None:
    """S7."""
    async with replica(server) as one, replica(server) as other:
        left, cancelled = list[str](), list[str]()
        one.log.listen(FleetEvent.LEFT, left.append)
        one.log.listen(FleetEvent.CANCEL, cancelled.append)
        lease = await one.log.open(info())
        await append(one.log, lease, deltas(1))
        assert not await one.log.read_elsewhere("s-1")
        first, second = await follow(other.log), await follow(other.log)
        assert await one.log.read_elsewhere("s-1")
        first.close()
        assert await one.log.read_elsewhere("s-1")
        second.close()
        await until(lambda: left == ["s-1"])
        assert not await one.log.read_elsewhere("s-1")
        await other.log.cancel_elsewhere("s-1")
        await until(lambda: cancelled == ["s-1"])
        await other.log.cancel_elsewhere("unknown")
        assert other.log._store.get("s-1") is None


async def test_a_stream_that_nobody_reads_is_joined_by_nobody_any_more(server: RedisServer) -> None:
    """C2: it is about to be given up."""
    async with replica(server) as one, replica(server) as other:
        lease = await one.log.open_shared(info(), "key")
        assert isinstance(lease, Lease)
        assert await other.log.open_shared(info("second"), "key") == info()
        assert await one.log.read_elsewhere("s-1")  # whoever found it is about to read it
        left = list[str]()
        one.log.listen(FleetEvent.LEFT, left.append)
        (await follow(other.log)).close()
        await until(lambda: left == ["s-1"])
        assert not await one.log.read_elsewhere("s-1")
        assert isinstance(await other.log.open_shared(info("third"), "key"), Lease)


async def test_a_key_of_a_dead_producer_is_free(server: RedisServer) -> None:
    """C1: nobody waits for the dead."""
    async with replica(server) as alive:
        async with replica(server) as dead:
            assert isinstance(await dead.log.open_shared(info(), "key"), Lease)
        await pass_lease(alive.client)
        assert isinstance(await alive.log.open_shared(info("second"), "key"), Lease)


async def test_keys_live_as_long_as_the_retention_and_leave_nothing(server: RedisServer) -> None:
    """S13: all keys of a stream share one time."""
    async with replica(server, retention=30.0) as one:
        lease = await one.log.open_shared(info(), "key")
        assert isinstance(lease, Lease)
        await append(one.log, lease, [*deltas(5), END])
        for key in ("headgate:meta:{s-1}", "headgate:log:{s-1}"):
            assert 29_000 < int((await server.command("PTTL", key))[1:]) <= 30_000
        await later(one.client, 31.0)
        await until(lambda: one.log.idle)
    assert await server.command("DBSIZE") == ":0"


async def test_a_foreign_value_in_a_log_ends_its_readers_and_nobody_else_s(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as other:
        await append(one.log, await one.log.open(info("one")), deltas(1))
        lease = await one.log.open(info("two"))
        await append(one.log, lease, deltas(1))
        hurt, well = await follow(other.log, stream_id="one"), await follow(other.log, stream_id="two")
        await read(hurt)
        await read(well)
        await server.command("XADD", "headgate:log:{one}", "2-0", "e", "garbage")
        with pytest.raises(StreamNotResumableError):
            await read(hurt)
        await append(one.log, lease, [END])
        assert list(await read(well)) == [END]


async def test_what_cannot_be_written_hurts_no_other_stream_s14(server: RedisServer) -> None:
    """An adapter with a defect: its stream goes on for those who read it here, and nobody waits for it elsewhere."""
    async with replica(server) as one, replica(server) as other:
        bad = info("s_bad")
        lease, good = await one.log.open(bad), await one.log.open(info())
        await append(one.log, lease, deltas(1))
        here, elsewhere = await follow(one.log, stream_id="s_bad"), await follow(other.log, stream_id="s_bad")
        huge = Delta(text="2", finish_reason="stop", usage=Usage(1 << 64, 1))
        await append(one.log, lease, [huge, END])
        await append(one.log, good, [*deltas(2), END])
        assert await texts(here) == ["0", "2"]
        assert not here.resumable
        assert (await read_to_end(elsewhere))[-1] == NOT_RESUMABLE
        assert await texts(await follow(other.log)) == ["0", "1"]
        assert set(one.defects.places) == {Where.STREAM_LOG}


@pytest.mark.parametrize("size", [1_400_000, 6 << 20])
async def test_a_large_event_is_read_on_another_replica_12(server: RedisServer, size: int) -> None:
    """An image in one event, among others of its stream and of another."""
    image = Delta("", b'{"choices":[{"delta":{"images":["%b"]}}]}' % (b"A" * size), Dialect.OPENAI)
    async with replica(server) as one, replica(server) as other:
        lease, good = await one.log.open(info()), await one.log.open(info("s_other"))
        one.log.append(lease, [*deltas(2), image])
        one.log.append(good, [*deltas(1), END])
        await append(one.log, lease, [*deltas(1), END])
        reader = await follow(other.log)
        assert list(await read_to_end(reader)) == [*deltas(2), image, *deltas(1), END]
        assert reader.resumable
        assert (await read_to_end(await follow(other.log, stream_id="s_other")))[-1] == END
        assert (one.client.healthy, one.defects.places) == (True, [])


@pytest.mark.parametrize("sizes", [[9 << 20], [6 << 20] * 3])
async def test_what_is_too_large_for_redis_goes_on_in_memory_and_says_so_12_s14(
    server: RedisServer, sizes: list[int]
) -> None:
    """An event, or a stream: who reads it here has all of it, and nobody waits for it elsewhere."""
    images = [Delta("", b'{"choices":[{"delta":{"images":["%b"]}}]}' % (b"A" * size), Dialect.OPENAI) for size in sizes]
    async with replica(server) as one, replica(server) as other:
        one.log._store._max_stream_bytes = 64 << 20
        lease, good = await one.log.open(info("s_large")), await one.log.open(info())
        await append(one.log, lease, deltas(1))
        here, elsewhere = await follow(one.log, stream_id="s_large"), await follow(other.log, stream_id="s_large")
        for image in images:
            one.log.append(lease, [image])
        one.log.append(good, deltas(2))
        await append(one.log, lease, [END])
        await append(one.log, good, [END])
        assert [*await read_to_end(here)] == [*deltas(1), *images, END]
        assert not here.resumable
        assert (await read_to_end(elsewhere))[-1] == NOT_RESUMABLE
        assert await texts(await follow(other.log)) == ["0", "1"]
        assert (one.client.healthy, one.defects.places) == (True, [])


async def test_what_was_sent_again_is_written_once(server: RedisServer) -> None:
    """Fault 8: the reply to an append is lost; no event is there twice."""
    async with redis_client(connector(server.url)) as client:
        log = RedisStreamLog(client, SystemClock(), max_bytes=10**8)
        log.start()
        lease = await log.open(info())
        await append(log, lease, deltas(3))
        mirror = log._store.get("s-1")
        assert mirror is not None
        mirror.acked = 1  # as if the reply that told of the others had been lost
        await append(log, lease, [*deltas(2, first=3), END])
        await log.aclose()
        other = RedisStreamLog(client, SystemClock(), max_bytes=10**8)
        other.start()
        assert await read_to_end(await follow(other)) == [*deltas(5), END]
        await other.aclose()


def test_an_info_is_what_it_was() -> None:
    one = StreamInfo("s_x", "e", "modèle", 1, "t")
    assert decode_info(encode_info(one)) == one
