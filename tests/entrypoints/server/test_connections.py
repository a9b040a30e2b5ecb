"""How many connections there may be, and who has to go (G4)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from entrypoints.http.server.limits import MAX_CONNECTIONS, ConnectionBounds
from tests.entrypoints.server.test_request_bodies import LIVE, chat, sized
from tests.raw_http import RawConnection, raw
from tests.service import Running, running, until

FEW = ConnectionBounds(total=8, per_address=6)


@contextlib.asynccontextmanager
async def crowd(service: Running, size: int) -> AsyncIterator[list[RawConnection]]:
    """So many silent connections."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(raw(service.port)) for _ in range(size)]


async def streaming(client: RawConnection) -> None:
    """The connection has a stream that lasts."""
    await client.send(sized(chat(stream=True, model="demo/long")))
    await client.reader.readuntil(b"data: ")


async def test_a_newcomer_takes_the_place_of_the_one_that_is_idle_for_longest_g4() -> None:
    """BAD_INPUT 45: silent connections shut nobody out."""
    async with running(connection_bounds=FEW) as service, crowd(service, 30) as silent:
        async with raw(service.port) as client:
            await client.send(LIVE)
            assert (await client.response()).status == 200
        assert all([await one.closed() == b"" for one in silent[:24]])
        await silent[-1].send(LIVE)
        assert (await silent[-1].response()).status == 200


async def test_who_has_a_request_under_way_is_not_sent_away_g4() -> None:
    async with running(connection_bounds=FEW) as service, raw(service.port) as reader:
        await streaming(reader)
        async with crowd(service, 30):
            await reader.reader.readuntil(b"data: ")
            assert len(service.container.connections()) <= FEW.per_address


async def test_where_nobody_is_idle_the_newcomer_is_refused_and_told_g4() -> None:
    async with running(connection_bounds=FEW) as service, crowd(service, FEW.per_address) as readers:
        await asyncio.gather(*map(streaming, readers))
        async with raw(service.port) as client:
            await client.send(LIVE)
            response = await client.response()
            assert (response.status, response.headers["retry-after"]) == (503, ["1"])
            assert await client.closed() == b""
        for reader in readers:
            await reader.close()
        await until(lambda: len(service.container.connections()) == 0)
        async with raw(service.port) as client:
            await client.send(LIVE)
            assert (await client.response()).status == 200


async def test_many_refused_ones_keep_no_place_g4() -> None:
    """What is held to tell them so is bounded too."""
    async with running(connection_bounds=FEW) as service, crowd(service, FEW.per_address) as readers:
        await asyncio.gather(*map(streaming, readers))
        async with crowd(service, 100) as refused:
            for one in refused:
                with contextlib.suppress(OSError):
                    assert (await one.closed()).startswith((b"HTTP/1.1 503", b""))
        gauges = (await readers_metrics(service)).decode()
        assert "headgate_connections_refused 100.0" in gauges


async def readers_metrics(service: Running) -> bytes:
    """The metrics, without a connection."""
    body, _ = await asyncio.to_thread(service.container.metrics())
    return body


async def test_a_trusted_proxy_may_have_them_all_g4() -> None:
    """It stands for many clients."""
    environ = {"HEADGATE_TRUSTED_PROXIES": "127.0.0.1"}
    async with running(environ, connection_bounds=FEW) as service, crowd(service, FEW.total) as readers:
        await asyncio.gather(*map(streaming, readers))
        async with raw(service.port) as client:
            assert (await client.closed()).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize(("files", "total"), [(64, 48), (256, 192), (1_024, 768), (1 << 20, MAX_CONNECTIONS), (8, 1)])
def test_a_quarter_of_the_open_files_is_for_others_g4(files: int, total: int) -> None:
    bounds = ConnectionBounds.within(files)
    assert bounds.total == total
    assert 1 <= bounds.per_address <= total
