"""The HTTP client of the providers, against a peer that writes raw bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop

from adapters.providers.attempt import Attempt
from adapters.providers.upstream import Upstream
from domain.errors import ConfigurationError, ProviderConnectionError, ProviderError, ProviderTimeoutError
from domain.services.routing import Retry, reaction

ATTEMPT = Attempt("local", "thread-1")
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
Script = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A server that reads whole requests and answers each with the next of its scripts, the last one for ever."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                await script(self, reader, writer)
        self.closed.set()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def says(*parts: bytes, close: bool = False) -> Script:
    async def script(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if close:
            writer.close()

    return script


async def until_hangup(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Writes the head and one piece, then waits for the client to hang up."""
    writer.write(CHUNKED + b"5\r\nhello\r\n")
    await reader.read()
    writer.close()


@asynccontextmanager
async def serving(*scripts: Script, host: str = "127.0.0.1") -> AsyncIterator[tuple[Peer, str]]:
    peer = Peer(*scripts)
    server = await asyncio.start_server(peer.accept, host, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield peer, f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*peer.tasks), 5)


@asynccontextmanager
async def client(
    *scripts: Script, host: str = "127.0.0.1", idle_seconds: float = 30.0, max_idle_connections: int = 512
) -> AsyncIterator[tuple[Upstream, Peer]]:
    async with serving(*scripts, host=host) as (peer, url):
        upstream = Upstream(
            url, {"Authorization": "Bearer k"}, idle_seconds=idle_seconds, max_idle_connections=max_idle_connections
        )
        try:
            yield upstream, peer
        finally:
            await upstream.aclose()


async def fetch(upstream: Upstream, body: bytes = b"{}") -> bytes:
    pieces = []
    async with upstream.post("/x", body, ATTEMPT) as response:
        while piece := await response.read():
            pieces.append(piece)
    return b"".join(pieces)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for is in the client, which has no event for it
            await asyncio.sleep(0.001)


async def test_the_request_is_what_was_asked_for() -> None:
    async with client(says(HELLO)) as (upstream, peer):
        assert await fetch(upstream, b'{"a":1}') == b"hello"
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/x HTTP/1.1"
    assert b"Host: 127.0.0.1:" in lines[1]
    assert {b"Accept-Encoding: identity", b"Authorization: Bearer k", b"Content-Length: 7"} <= set(lines)
    assert body == b'{"a":1}'


async def test_connections_are_used_again() -> None:
    async with client(says(HELLO), says(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"), says(HELLO)) as (upstream, peer):
        for _ in range(3):
            assert await fetch(upstream) == b"hello"
            assert upstream.idle == 1
    assert peer.connections == 1


async def test_the_one_that_was_used_last_is_used_first_and_the_pool_has_a_bound() -> None:
    async with client(says(HELLO), max_idle_connections=2) as (upstream, peer):
        await asyncio.gather(*(fetch(upstream) for _ in range(5)))
        assert peer.connections == 5
        assert upstream.idle == 2
        first = upstream.take_idle()
        assert first is not None
        upstream.release(first)
        assert upstream.take_idle() is first
        first.abort()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        HELLO + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstray!",
    ],
    ids=["connection-close", "http-1.0", "more-than-the-answer"],
)
async def test_a_connection_that_cannot_carry_another_request_is_not_kept(answer: bytes) -> None:
    async with client(says(answer)) as (upstream, peer):
        assert await fetch(upstream) == b"hello"
        assert upstream.idle == 0
        assert await fetch(upstream) == b"hello"
    assert peer.connections == 2


async def test_an_idle_connection_that_ends_or_speaks_is_dropped_at_once() -> None:
    async def then_more(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async def then_close(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)
        await asyncio.sleep(0.02)
        writer.close()

    for script in (then_more, then_close):
        async with client(script) as (upstream, _):
            assert await fetch(upstream) == b"hello"
            assert upstream.idle == 1
            await until(lambda upstream=upstream: upstream.idle == 0)  # type: ignore[misc]


async def test_an_idle_connection_expires() -> None:
    async with client(says(HELLO), idle_seconds=0.05) as (upstream, peer):
        assert await fetch(upstream) == b"hello"
        await asyncio.wait_for(peer.closed.wait(), 2)
        assert upstream.idle == 0


async def test_a_request_on_a_connection_that_was_just_closed_goes_once_more_on_a_new_one() -> None:
    async with client(says(HELLO), says(close=True), says(HELLO)) as (upstream, peer):
        assert await fetch(upstream) == b"hello"
        assert await fetch(upstream) == b"hello"
    assert (peer.connections, len(peer.requests)) == (2, 3)


async def test_a_new_connection_that_is_closed_without_an_answer_is_an_error() -> None:
    async with client(says(close=True)) as (upstream, peer):
        with pytest.raises(ProviderConnectionError) as caught:
            await fetch(upstream)
    assert len(peer.requests) == 1
    assert caught.value.thread_id == "thread-1"
    assert caught.value.details == {"provider": "local"}


async def test_r8_leaving_early_hangs_up_at_once() -> None:
    async with client(until_hangup) as (upstream, peer):
        async with upstream.post("/x", b"", ATTEMPT) as response:
            assert await response.read() == b"hello"
        await asyncio.wait_for(peer.closed.wait(), 2)
        assert upstream.idle == 0


async def test_r8_a_cancelled_call_hangs_up_before_the_head_and_in_the_middle() -> None:
    async def silent(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    for script in (silent, until_hangup):
        async with client(script) as (upstream, peer):
            task = asyncio.create_task(fetch(upstream))
            await until(lambda peer=peer: len(peer.requests) == 1)  # type: ignore[misc]
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(peer.closed.wait(), 2)


async def test_a_cancelled_read_loses_nothing() -> None:
    go = asyncio.Event()

    async def later(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        await go.wait()
        writer.write(b"5\r\nhello\r\n0\r\n\r\n")

    async with client(later) as (upstream, _):
        async with upstream.post("/x", b"", ATTEMPT) as response:
            reading = asyncio.create_task(response.read())
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            go.set()
            assert await response.read() == b"hello"
            assert await response.read() == b""
        assert upstream.idle == 1


async def test_a_storm_of_cancellations_leaves_nothing_and_mixes_nothing_up() -> None:
    async def echo(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = peer.requests[-1].partition(b"\r\n\r\n")[2]
        writer.write(CHUNKED)
        for byte in body:
            writer.write(b"1\r\n%c\r\n" % byte)
            await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")

    async def one(upstream: Upstream, number: int) -> bool:
        task = asyncio.create_task(fetch(upstream, b"request %d" % number))
        for _ in range(number * 7 % 60):
            await asyncio.sleep(0)
        if number % 3:
            task.cancel()
        try:
            return await task == b"request %d" % number
        except asyncio.CancelledError:
            return True

    async with client(echo) as (upstream, peer):
        for start in range(0, 600, 20):
            assert all(await asyncio.gather(*(one(upstream, start + number) for number in range(20))))
        assert upstream.idle <= peer.connections
        assert await fetch(upstream, b"after") == b"after"


async def test_finish_keeps_a_connection_whose_end_comes_soon_and_not_one_that_says_more() -> None:
    async def in_two(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"5\r\nhello\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")

    async def more(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"5\r\nhello\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"4\r\nmore\r\n")
        await reader.read()
        writer.close()

    for script, kept in ((in_two, 1), (more, 0)):
        async with client(script) as (upstream, peer):
            async with upstream.post("/x", b"", ATTEMPT) as response:
                assert await response.read() == b"hello"
                response.finish()
            assert upstream.idle == 0
            await until(lambda u=upstream, p=peer: u.idle == 1 or p.closed.is_set())  # type: ignore[misc]
            assert upstream.idle == kept


async def test_aclose_closes_what_is_idle_and_what_is_ending() -> None:
    async with client(says(HELLO), until_hangup) as (upstream, peer):
        await fetch(upstream)
        async with upstream.post("/x", b"", ATTEMPT) as response:
            assert await response.read() == b"hello"
            response.finish()
        await upstream.aclose()
        await upstream.aclose()
        await asyncio.wait_for(peer.closed.wait(), 2)
        assert upstream.idle == 0


async def test_a_refused_connection_is_an_error_that_names_no_address() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with pytest.raises(ProviderConnectionError) as caught:
            await fetch(Upstream(url, {}))
    assert caught.value.details == {"provider": "local", "cause": "ConnectionRefusedError"}
    assert "127.0.0.1" not in repr(caught.value)


async def test_an_unknown_host_is_an_error() -> None:
    for host in ("nowhere.invalid", "a" * 64 + ".invalid"):
        with pytest.raises(ProviderConnectionError):
            await fetch(Upstream(f"http://{host}/v1", {}))


async def test_connecting_has_a_deadline_and_its_silence_is_not_retried_r1() -> None:
    """A listener that talks no TLS back keeps the handshake waiting."""

    async with serving(says(HELLO)) as (_, url):
        upstream = Upstream(url.replace("http:", "https:"), {}, connect_timeout=0.1)
        with pytest.raises(ProviderTimeoutError) as caught:
            await asyncio.wait_for(fetch(upstream), 3)
    assert caught.value.details == {"provider": "local", "phase": "connect"}
    assert reaction(caught.value).retry is Retry.NO


async def test_ipv6_and_a_path_in_the_base_url() -> None:
    async with client(says(HELLO), host="::1") as (upstream, peer):
        assert await fetch(upstream) == b"hello"
    assert b"\r\nHost: [::1]:" in peer.requests[0]


def test_uvloop_carries_it_as_well() -> None:
    async def main() -> None:
        async with client(says(HELLO), until_hangup) as (upstream, peer):
            assert await fetch(upstream) == b"hello"
            async with upstream.post("/x", b"", ATTEMPT) as response:
                assert await response.read() == b"hello"
            await asyncio.wait_for(peer.closed.wait(), 2)
            assert peer.connections == 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_small_writes_leave_at_once(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> int:
        async with client(says(HELLO)) as (upstream, _):
            await fetch(upstream)
            connection = upstream.take_idle()
            assert connection is not None
            wire = connection._transport.get_extra_info("socket")
            delay = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            upstream.release(connection)
            return int(delay)

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(main()) != 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/v1",
        "a/v1",
        "http://",
        "http://a:b/v1",
        "http://u:p@a/v1",
        "http://a/v1?key=1",
        "http://a/#x",
        "http://a /v1",
        "http://ä/",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Upstream(url, {})
    assert url.removeprefix("http://") not in str(caught.value) or url == "http://"


def test_a_key_cannot_write_headers() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Upstream("http://a/v1", {"Authorization": "Bearer sk-1\r\nX-Evil: 1"})
    assert "sk-1" not in str(caught.value)


async def test_p1_no_error_holds_the_key_or_the_address() -> None:
    async with client(says(close=True)) as (upstream, _):
        with pytest.raises(ProviderError) as caught:
            await fetch(upstream, b"secret prompt")
    shown = repr(caught.value) + str(caught.value.__cause__)
    assert "Bearer" not in shown
    assert "secret" not in shown
    assert "/v1" not in shown
