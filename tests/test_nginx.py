"""deploy/nginx.conf in a real nginx: refusals are heard, and nobody makes a replica fail (BAD_INPUT 43).

The last test kills one of the replicas that all share.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import ask, call
from tests.fleet.readers import StreamReader, is_terminal, whole_log
from tests.nginx import nginx_before
from tests.raw_http import RawConnection, Response, raw
from tests.redis_server import RedisServer

SENT = 20
"""Tokens that the model `stall-20` sends before it is silent for ever."""
MIB = 1 << 20
ATTEMPTS = 8
"""More than it took to shut out two replicas, when two failures in five seconds did it."""
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
PLAIN = CHAT.replace(b"application/json", b"text/plain")
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 65_536 + b"\r\n"


def sized(count: int) -> bytes:
    """The end of a head."""
    return b"Content-Length: %d\r\n\r\n" % count


@pytest.fixture(scope="module")
def replicas() -> Iterator[Fleet]:
    with RedisServer() as redis, running_fleet(redis, count=2) as fleet:
        yield fleet


@pytest.fixture
def front(replicas: Fleet) -> Iterator[str]:
    with nginx_before([one.url for one in replicas.replicas]) as url:
        yield url


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


async def send_all(client: RawConnection, head: bytes, pieces: int) -> Response:
    """The response to a body that is sent whatever comes back, as simple clients do."""
    with contextlib.suppress(ConnectionError):
        await client.send(head)
        for _ in range(pieces):
            await client.send(CHUNK)
    return await client.response()


async def declared(client: RawConnection) -> Response:
    """17 MB, and the length says so."""
    return await send_all(client, CHAT + sized(len(CHUNK) * 272), 272)


async def in_chunks(client: RawConnection) -> Response:
    """17 MB without a length."""
    return await send_all(client, CHAT + CHUNKED, 272)


async def unread(client: RawConnection) -> Response:
    """15 MB that Headgate refuses before it reads them."""
    return await send_all(client, PLAIN + sized(len(CHUNK) * 240), 240)


async def nowhere(client: RawConnection) -> Response:
    """15 MB to a path that does not exist."""
    return await send_all(client, PLAIN.replace(b"/v1/chat/completions", b"/nowhere") + CHUNKED, 240)


async def large_head(client: RawConnection) -> Response:
    await client.send(CHAT + b"X: " + b"a" * 33_000 + b"\r\n\r\n")
    return await client.response()


async def many_headers(client: RawConnection) -> Response:
    await client.send(CHAT + b"X: a\r\n" * 101 + b"\r\n")
    return await client.response()


async def long_target(client: RawConnection) -> Response:
    await client.send(b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return await client.response()


REFUSED: list[tuple[Callable[[RawConnection], Coroutine[Any, Any, Response]], int, str]] = [
    (declared, 413, "request_too_large"),
    (in_chunks, 413, "request_too_large"),
    (unread, 415, "unsupported_media_type"),
    (nowhere, 404, "not_found"),
    (large_head, 431, "head_too_large"),
    (many_headers, 431, ""),
    (long_target, 414, ""),
]


async def assert_both_serve(replicas: Fleet, front: str) -> None:
    """New streams begin through nginx, at both."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(4):
            body = {"model": "openai/ok-slow", "prompt": f"both {number}", "max_tokens": 500}
            headers = {"Cache-Control": "no-store", "X-Stream-Grace": "0"}
            answer = await stack.enter_async_context(ask(front, "POST", "/v1/streams", body, headers))
            assert answer.status == 200
            await answer.read(1)
        for one in replicas.replicas:
            assert (await one.metrics())["headgate_open_generations"] >= 1, one.url


@pytest.mark.parametrize(("attempt", "status", "code"), REFUSED, ids=[one[0].__name__ for one in REFUSED])
async def test_refusals_are_heard_and_no_replica_is_taken_for_failed_g7_43(
    replicas: Fleet,
    front: str,
    attempt: Callable[[RawConnection], Coroutine[Any, Any, Response]],
    status: int,
    code: str,
) -> None:
    """G7, BAD_INPUT 43: one after the other, more than it took."""
    for _ in range(ATTEMPTS):
        async with raw(port_of(front)) as client:
            response = await attempt(client)
        assert response.status == status
        if code:
            assert json.loads(response.body)["error"]["code"] == code
            assert response.headers["content-type"] == ["application/json"]
    await assert_both_serve(replicas, front)


async def test_a_refusal_comes_before_the_body_has_been_sent_g5(front: str) -> None:
    """No body lies in nginx: what is refused unread is refused at once, whatever is declared."""
    for head, status in ((PLAIN + sized(15 * MIB), 415), (CHAT + sized(17 * MIB), 413)):
        async with raw(port_of(front)) as client:
            await client.send(head + b"[")
            assert (await client.response()).status == status


async def test_clients_that_leave_amid_a_request_hurt_no_replica_43(replicas: Fleet, front: str) -> None:
    for head in (CHAT + sized(15 * MIB), CHAT + CHUNKED, PLAIN + sized(15 * MIB), CHAT, CHAT[:30]):
        for _ in range(ATTEMPTS):
            async with raw(port_of(front)) as client:
                await client.send(head)
                if b"\r\n\r\n" in head:
                    await client.send(CHUNK)
                client.writer.transport.abort()
    await assert_both_serve(replicas, front)


async def dripped(port: int, start: bytes, drip: bytes) -> Response | None:
    """What comes back while `drip` is sent twice a second; None if the connection ends without a word."""
    async with raw(port) as client:
        await client.send(start)
        reading = asyncio.create_task(client.response())
        while not reading.done():
            with contextlib.suppress(ConnectionError):
                await client.send(drip)
            await asyncio.wait([reading], timeout=0.5)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            return reading.result()
    return None


async def test_slow_clients_are_sent_away_in_time_and_disturb_nobody_g3(replicas: Fleet, front: str) -> None:
    """A head that is too slow reaches nobody; of a body that is too slow, or stops, Headgate itself tells."""
    port, body = port_of(front), CHAT + sized(1_000_000) + b"["
    async with asyncio.TaskGroup() as group:
        drips = ((CHAT, b"X: a\r\n"), (b"", b""), (body, b" "), (body, b""))
        clients = [group.create_task(dripped(port, start, drip)) for start, drip in drips]
        for _ in range(10):
            assert (await call(front, "GET", "/readyz"))[0].status == 200
            await asyncio.sleep(0.1)
    head, silent, slow, stopped = [client.result() for client in clients]
    assert head is silent is None
    assert slow is not None
    assert stopped is not None
    assert slow.status == stopped.status == 408
    await assert_both_serve(replicas, front)


async def test_events_pass_nginx_as_they_come_and_leaving_reaches_upstream_s10_r8(replicas: Fleet, front: str) -> None:
    """S10, R8: the upstream is silent after its tokens, and they are there before it says more."""
    async with ask(
        front, "POST", "/v1/streams", {"model": "openai/stall-20", "prompt": "nginx"}, {"X-Stream-Grace": "0"}
    ) as answer:
        seen = b""
        pieces = answer.pieces()
        async with asyncio.timeout(5.0):
            while f'" tok{SENT}"'.encode() not in seen:
                seen += await anext(pieces)
        await pieces.aclose()
        assert (await replicas.seen("stall-20"))["open"] == 1

    async def hung_up() -> bool:
        return bool((await replicas.seen("stall-20"))["open"] == 0)

    await eventually(hung_up, 2.0)
    assert (await call(front, "GET", "/metrics"))[0].status == 404


async def test_a_stream_is_resumed_through_nginx_s3(front: str) -> None:
    """S3: connection by connection, to whichever replica nginx takes."""
    first = StreamReader()
    body = {"model": "openai/ok-slow", "prompt": "resume", "max_tokens": 50}
    async with ask(front, "POST", "/v1/streams", body) as answer:
        await first.take(answer, 500)
    while not first.ended:
        assert await first.resume(front, 1500) == 200
    first.check()
    assert await first.resume(front) == 204
    assert await whole_log(front, first.stream_id) == first.events


@contextlib.asynccontextmanager
async def recorded(seen: list[str], *, answers: bool = True) -> AsyncIterator[str]:
    """The address of a replica that only keeps the heads of requests; `answers` or holds them."""

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
                if answers:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_replica_is_told_the_clients_address_and_the_host_as_it_was_sent() -> None:
    """A client's own network may be trusted: what it writes in X-Forwarded-For must not come through (G10, P2)."""
    seen: list[str] = []
    async with recorded(seen) as replica:
        with nginx_before([replica, replica]) as url:
            forged = {"Host": "evil.example:81", "X-Forwarded-For": "203.0.113.7, ::1", "Last-Event-ID": "e-1"}
            assert (await call(url, "GET", "/v1/streams/a%2Fb?x=1", None, forged))[0].status == 200
    line, *lines = seen[0].removesuffix("\r\n\r\n").split("\r\n")
    assert line == "GET /v1/streams/a%2Fb?x=1 HTTP/1.1"
    headers = dict(one.split(": ", 1) for one in lines)
    assert headers.pop("Content-Length") == "0"
    assert headers == {"Host": "evil.example:81", "X-Forwarded-For": "127.0.0.1", "Last-Event-ID": "e-1"}


async def test_one_address_has_a_bound_of_requests_at_once_g4() -> None:
    """G4: Headgate's own bound of an address does not count for a trusted proxy."""
    seen: list[str] = []
    async with recorded(seen, answers=False) as replica, contextlib.AsyncExitStack() as stack:
        url = stack.enter_context(
            nginx_before([replica, replica], {"limit_conn addresses 512": "limit_conn addresses 3"})
        )
        for _ in range(3):
            client = await stack.enter_async_context(raw(port_of(url)))
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        async def all_hold() -> bool:
            return len(seen) == 3

        await eventually(all_hold)
        answer, body = await call(url, "GET", "/livez")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert json.loads(body)["error"]["code"] == "too_many_connections"


async def kill_who_generates(replicas: Fleet) -> None:
    """Kills the replica that fills a stream, once there is one."""

    async def killed() -> bool:
        for replica in replicas.replicas:
            if (await replica.metrics())["headgate_open_generations"]:
                replica.process.kill()
                return True
        return False

    await eventually(killed)


async def test_a_stream_whose_replica_dies_is_resumed_at_the_other_s3_s8() -> None:
    """S3, S8: through nginx, with Last-Event-ID; it has an end, and says which."""
    with (
        RedisServer() as redis,
        running_fleet(redis, count=2) as fleet,
        nginx_before([one.url for one in fleet.replicas]) as front,
    ):
        reader = StreamReader()
        body = {"model": "openai/ok-slow", "prompt": "cut", "max_tokens": 5_000}
        async with ask(front, "POST", "/v1/streams", body) as answer, asyncio.TaskGroup() as group:
            taking = group.create_task(reader.take(answer))
            await answer_has_begun(fleet)
            await kill_who_generates(fleet)
            await taking
        assert not any(map(is_terminal, reader.events))
        while not reader.ended:
            assert await reader.resume(front) == 200
        reader.check()
        assert b"producer_lost" in reader.terminal


async def answer_has_begun(fleet: Fleet) -> None:
    """The upstream answers."""

    async def asked() -> bool:
        return bool((await fleet.seen("ok-slow"))["open"])

    await eventually(asked)


async def test_a_post_whose_replica_dies_is_not_sent_to_another(replicas: Fleet, front: str) -> None:
    """It may have been executed. The last test: it kills a replica; all that follows is served by the other."""
    body = {"model": "openai/silent", "messages": [{"role": "user", "content": "once"}], "stream": True}
    async with asyncio.TaskGroup() as group:
        posting = group.create_task(call(front, "POST", "/v1/chat/completions", body))
        group.create_task(kill_who_generates(replicas))
    answer, data = posting.result()
    assert answer.status == 502
    assert json.loads(data)["error"]["code"] == "no_answer"
    assert (await replicas.seen("silent"))["requests"] == 1
    for _ in range(ATTEMPTS):
        assert (await call(front, "GET", "/readyz"))[0].status == 200
        asked = {"model": "openai/ok", "prompt": "after", "max_tokens": 3}
        assert (await call(front, "POST", "/v1/streams", asked, {"Cache-Control": "no-store"}))[0].status == 200
