"""One response, through ASGI and past it: the same bytes; and what comes out of turn."""

import asyncio
from typing import Any, cast

import pytest

from entrypoints.http.server.exchange import Exchange, Link
from entrypoints.http.server.head import Head
from entrypoints.http.sse import stock_headers, stock_lines

MEDIA_TYPE = "text/event-stream; charset=utf-8"
OURS = {"X-Thread-ID": "t_1", "Content-Location": "/v1/streams/s_1"}
RAW = [(b"x-thread-id", b"t_1"), (b"content-length", b"2"), (b"content-type", b"application/json")]


class Wire(asyncio.Transport, Link):
    """A connection that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.transport = self
        self.written = b""
        self.writes = 0
        self.ended = False
        self.write_paused = False
        self.answers = 0
        self.defects = 0
        self.dropped = False
        self.read = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self.writes += 1

    def close(self) -> None:
        self.ended = True

    async def drained(self) -> None:
        self.write_paused = False

    def own_headers(self) -> bytes:
        return b"date: today\r\n"

    def drop_body(self) -> None:
        self.dropped = True

    def want_body(self) -> None:
        raise AssertionError("there is none")

    def body_read(self) -> bool:
        return self.read

    def unanswered(self) -> None:
        self.defects += 1

    def answered(self, exchange: Exchange) -> None:
        self.answers += 1
        self.ended = not exchange.keep_alive


def exchange(method: str = "POST", version: str = "1.1", *, keep_alive: bool = True) -> tuple[Wire, Exchange]:
    """An exchange whose request has come, and its wire."""
    wire = Wire()
    begun = Exchange(wire, Head(method, "/", b"/", b"", version, [], 0, keep_alive, expects_continue=False))
    begun.add_body(b"", more=False)
    return wire, begun


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_stream_past_asgi_is_the_same_as_through_it(version: str, keep_alive: bool) -> None:
    (slow, asgi), (fast, past) = (exchange(version=version, keep_alive=keep_alive) for _ in range(2))
    raw = [(name.encode(), value.encode()) for name, value in OURS.items()] + stock_headers(MEDIA_TYPE)
    await asgi.send({"type": "http.response.start", "status": 200, "headers": raw})
    assert past.begin(OURS, stock_lines(MEDIA_TYPE))
    await asgi.send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    assert past.write(b"data: 1\n\n")
    await asgi.send({"type": "http.response.body"})
    assert past.finish()
    assert (fast.written, fast.answers, fast.ended) == (slow.written, slow.answers, slow.ended)
    assert fast.ended is (not keep_alive or version == "1.0")


@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize("more", [[], [(b"connection", b"close")], [(b"connection", b"keep-alive")]])
async def test_a_whole_response_past_asgi_is_the_same_as_through_it(
    method: str, more: list[tuple[bytes, bytes]]
) -> None:
    (slow, asgi), (fast, past) = exchange(method), exchange(method)
    await asgi.send({"type": "http.response.start", "status": 429, "headers": [*RAW, *more]})
    await asgi.send({"type": "http.response.body", "body": b"{}"})
    assert past.respond(429, [*RAW, *more], b"{}")
    assert (fast.written, fast.answers, fast.ended) == (slow.written, slow.answers, slow.ended)
    assert fast.written.endswith(b"\r\n\r\n" if method == "HEAD" else b"\r\n\r\n{}")
    assert fast.ended is (more == [(b"connection", b"close")])


@pytest.mark.parametrize("header", [(b"x-thread-id", b"a\r\nx-forged: 1"), (b"x-y", b"a\nb"), (b"x-y", b"a\0b")])
async def test_a_header_with_a_line_end_is_never_written(header: tuple[bytes, bytes]) -> None:
    wire, one = exchange()
    with pytest.raises(RuntimeError):
        one.respond(200, [*RAW, header], b"{}")
    with pytest.raises(RuntimeError):
        await one.send({"type": "http.response.start", "status": 200, "headers": [header]})
    with pytest.raises(RuntimeError):
        one.begin({"X-Y": "a\r\nX-Forged: 1"}, b"")
    assert wire.written == b""
    assert not one.started


async def test_a_response_before_the_body_is_read_ends_the_connection_g7() -> None:
    """What is left of the body would be taken for the next request."""
    wire, one = exchange()
    wire.read = False
    assert one.respond(401, RAW, b"{}")
    assert wire.written.count(b"connection: close\r\n") == 1
    assert (wire.ended, wire.dropped) == (True, True)


async def test_nothing_is_written_out_of_turn() -> None:
    wire, one = exchange()
    assert not one.write(b"before the head")
    assert not one.finish()
    with pytest.raises(RuntimeError):
        await one.send({"type": "http.response.body", "body": b"x"})
    wire.write_paused = True
    assert not one.begin(OURS, b"")
    assert not one.respond(200, RAW, b"{}")
    wire.write_paused = False
    assert one.begin(OURS, b"")
    assert not one.begin(OURS, b"")
    wire.write_paused = True
    assert not one.write(b"held up")
    wire.write_paused = False
    assert one.finish()
    assert not one.write(b"after the end")
    assert wire.answers == 1
    with pytest.raises(RuntimeError):
        await one.send({"type": "http.response.body", "body": b"x"})


async def test_a_client_that_has_left_gets_nothing_and_who_works_for_it_is_told_once() -> None:
    wire, one = exchange()
    told: list[bool] = []
    one.gone = lambda: told.append(True)
    assert one.begin(OURS, b"")
    before = wire.written
    one.disconnect()
    assert not one.write(b"x")
    await one.send({"type": "http.response.body", "body": b"x"})
    assert await one.receive() == {"type": "http.disconnect"}
    assert (wire.written, told, one.lost) == (before, [True], True)


async def test_what_is_there_at_once_leaves_in_one_write() -> None:
    wire, one = exchange()
    one.cork()
    assert one.begin(OURS, b"")
    assert one.write(b"data: 1\n\n")
    assert one.finish()
    assert wire.writes == 1
    one.uncork()
    assert wire.writes == 1


@pytest.mark.parametrize("length", [1, 3])
async def test_a_body_is_as_long_as_it_was_said_to_be(length: int) -> None:
    _, one = exchange()
    headers = [(b"content-length", b"%d" % length)]
    await one.send({"type": "http.response.start", "status": 200, "headers": headers})
    with pytest.raises(RuntimeError):
        await one.send({"type": "http.response.body", "body": b"{}"})


async def test_an_application_that_fails_leaves_no_client_waiting() -> None:
    """D4: with nothing said it is a 500; a response that has begun is cut, so that nobody takes it for whole."""

    async def fails(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ValueError("a defect")

    async def fails_midway(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise ValueError("a defect")

    for app, ending in ((fails, b"Internal Server Error"), (fails_midway, b"1\r\nx\r\n")):
        wire, one = exchange()
        with pytest.raises(ValueError, match="a defect"):
            await one.run(cast("Any", app), {"type": "http"})
        assert wire.written.endswith(ending)
        assert (wire.ended, wire.defects) == (True, 1)
