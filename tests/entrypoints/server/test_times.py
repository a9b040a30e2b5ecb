"""How long a client may take, over raw sockets, with short times (G3, G7, S11; BAD_INPUT 26, 45)."""

import asyncio
import socket
import struct
from dataclasses import replace

import pytest

from entrypoints.http.server.limits import ConnectionLimits
from tests.entrypoints.server.test_request_bodies import CHAT, LIVE, chat, sized
from tests.raw_http import HOST, RawConnection, raw
from tests.service import Running, running, until

SHORT = ConnectionLimits(head_seconds=0.6, keep_alive_seconds=1.2, body_seconds=0.6, linger_seconds=0.6)


async def drip(client: RawConnection, data: bytes, pause: float) -> None:
    """Sends a byte now and then, until the service has closed."""
    for byte in data:
        await asyncio.sleep(pause)
        client.writer.write(bytes([byte]))


async def assert_timed_out(client: RawConnection) -> None:
    response = await client.response()
    assert (response.status, response.headers["connection"]) == (408, ["close"])


async def test_a_silent_connection_is_closed_without_a_word_g3() -> None:
    async with running(connection_limits=SHORT) as service, raw(service.port) as client:
        assert await client.closed() == b""
        await until(lambda: len(service.container.connections()) == 0)


@pytest.mark.parametrize("reused", [False, True])
@pytest.mark.parametrize("beginning", [b"G", b"GET /livez HTTP/1.1\r\n" + HOST])
async def test_a_head_has_its_time_g3(beginning: bytes, reused: bool) -> None:
    """BAD_INPUT 45: from its first byte, however it drips, on a new and on a reused connection."""
    async with running(connection_limits=SHORT) as service, raw(service.port) as client:
        if reused:
            await client.send(LIVE)
            await client.response()
        await client.send(beginning)
        rest = b"ET /" if beginning == b"G" else b"X: "
        dripping = asyncio.create_task(drip(client, rest + b"a" * 50, 0.1))
        await assert_timed_out(client)
        dripping.cancel()


async def test_a_reused_connection_has_the_whole_time_for_its_next_head_g3() -> None:
    """Whatever it was idle for before."""
    limits = replace(SHORT, head_seconds=1.5, keep_alive_seconds=1.2)
    async with running(connection_limits=limits) as service, raw(service.port) as client:
        await client.send(LIVE)
        await client.response()
        await asyncio.sleep(0.7)
        await client.send(LIVE[:-1])
        await asyncio.sleep(0.9)
        await client.send(LIVE[-1:])
        assert (await client.response()).status == 200


@pytest.mark.parametrize("reused", [False, True])
async def test_a_body_without_progress_ends_g3(reused: bool) -> None:
    async with running(connection_limits=SHORT) as service, raw(service.port) as client:
        if reused:
            await client.send(LIVE)
            await client.response()
        await client.send(sized(chat())[:-5])
        await assert_timed_out(client)
        await service.until_idle()


@pytest.mark.parametrize("head", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n186A0\r\n"])
async def test_a_body_that_drips_ends_g3(head: bytes) -> None:
    """Progress alone does not keep a connection: on average there is a least speed."""
    async with running(connection_limits=SHORT) as service, raw(service.port) as client:
        await client.send(CHAT + head)
        dripping = asyncio.create_task(drip(client, b"a" * 50, 0.1))
        await assert_timed_out(client)
        dripping.cancel()


async def test_a_slow_body_that_is_fast_enough_is_read_g3() -> None:
    limits = replace(SHORT, body_bytes_per_second=200)
    async with running(connection_limits=limits) as service, raw(service.port) as client:
        request = sized(chat("x" * 600))
        head = request.index(b"\r\n\r\n") + 4
        await client.send(request[:head])
        for at in range(head, len(request), 100):
            await asyncio.sleep(0.2)
            await client.send(request[at : at + 100])
        assert (await client.response()).status == 200


@pytest.mark.parametrize("body", [b"", b"a" * 5])
async def test_who_was_refused_has_no_longer_than_others_g3(body: bytes) -> None:
    """BAD_INPUT 45: also behind a refusal the connection ends, though its body never comes."""
    async with running(connection_limits=SHORT) as service, raw(service.port) as client:
        await client.send(CHAT.replace(b"json", b"text") + b"Content-Length: 100\r\n\r\n" + body)
        assert (await client.response()).status == 415
        dripping = asyncio.create_task(drip(client, b"a" * 50, 0.1))
        await until(lambda: len(service.container.connections()) == 0)
        dripping.cancel()


async def test_a_refusal_is_heard_while_the_body_is_still_sent_g7() -> None:
    """BAD_INPUT 43: a client that reads only when all is sent sees the status, and no reset."""
    async with running() as service, raw(service.port) as client:
        await client.send(CHAT + b"Content-Length: 30000000\r\n\r\n")
        for _ in range(30):
            await client.send(b"a" * 1_000_000)
        assert (await client.response()).status == 413
        assert await client.closed() == b""


async def test_what_is_dropped_has_a_bound_g7() -> None:
    limits = replace(SHORT, linger_bytes=1_000_000, linger_seconds=60)
    async with running(connection_limits=limits) as service, raw(service.port) as client:
        await client.send(CHAT + b"Content-Length: 30000000\r\n\r\n")
        assert (await client.response()).status == 413
        with pytest.raises(OSError, match=r".*"):
            for _ in range(60):
                await client.send(b"a" * 1_000_000)


def unread(service: Running) -> socket.socket:
    """A connection of a client that has little room, and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect(("127.0.0.1", service.port))
    return client


@pytest.mark.parametrize("closing", [b"", b"Connection: close\r\n"])
async def test_who_takes_nothing_of_a_plain_answer_is_cut_s11(closing: bytes) -> None:
    """Also once the response is complete, and only what is unsent keeps the connection."""
    async with running(connection_limits=replace(SHORT, send_seconds=0.6)) as service:
        client = unread(service)
        loop = asyncio.get_running_loop()
        client.settimeout(0)
        request = sized(chat("x"), closing)
        with client:
            for _ in range(400):
                try:
                    await asyncio.wait_for(loop.sock_sendall(client, request), 0.2)
                except TimeoutError:
                    break
                except OSError:
                    break
            await until(lambda: len(service.container.connections()) == 0, 10)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("size", [100_000, 400_000, 3_000_000])
@pytest.mark.parametrize("model", ["demo/long", "demo/silent"])
async def test_a_client_that_leaves_behind_more_than_is_kept_is_noticed_42(model: str, size: int, reset: bool) -> None:
    """G1, R8: however much it sent behind its request, and where nothing is written that would meet a reset."""
    async with running() as service:
        async with raw(service.port) as client:
            await client.send(sized(chat(stream=model == "demo/long", model=model)) + b"a" * size)
            await until(lambda: len(service.container.generations()) == 1)
            if reset:
                own = client.writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await service.until_idle()
        await until(lambda: not len(service.container.connections()))


async def test_a_body_has_to_be_fast_enough_to_its_end_g3() -> None:
    """Who was fast at first may not be slow for hours: what it has sent is kept meanwhile."""
    async with running(connection_limits=SHORT) as service, raw(service.port) as client:
        await client.send(CHAT + b"Content-Length: 1000000\r\n\r\n" + b"a" * 900_000)
        dripping = asyncio.create_task(drip(client, b"a" * 50, 0.1))
        await assert_timed_out(client)
        dripping.cancel()


async def test_the_beginnings_of_heads_have_a_bound_together_g2() -> None:
    """Above it a head in pieces is refused, and a whole one is served; what is gone makes room."""
    limits = replace(SHORT, all_buffer_bytes=50_000, small_buffer_bytes=100, head_seconds=30.0)
    async with running(connection_limits=limits) as service:
        part = LIVE[:-2] + b"X: " + b"a" * 20_000
        async with raw(service.port) as first, raw(service.port) as second, raw(service.port) as third:
            await first.send(part)
            await second.send(part)
            await until(lambda: service.container.connections().buffered > 40_000)
            await third.send(part)
            response = await third.response()
            assert (response.status, response.headers["retry-after"]) == (503, ["1"])
            async with raw(service.port) as whole:
                await whole.send(LIVE)
                assert (await whole.response()).status == 200
            await first.send(b"\r\n\r\n")
            assert (await first.response()).status == 200
        await until(lambda: service.container.connections().buffered == 0)
