"""Past ASGI, a response is on the wire, and to the server, what uvicorn's own `send` makes of it."""

import asyncio
import logging
from typing import Any, cast

import pytest
from entrypoints.http.protocol import DirectWriter
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from entrypoints.http.sse import stock_headers, stock_lines

MEDIA_TYPE = "text/event-stream; charset=utf-8"
OURS = {"X-Thread-ID": "t_1", "Content-Location": "/v1/streams/s_1"}
STATE = ("response_started", "response_complete", "chunked_encoding", "waiting_for_100_continue")


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


class Exchange:
    """One request as the server has it, and the writer that a response is given."""

    def __init__(self, **given: Any) -> None:
        self.wire = Wire()
        self.answered = 0
        given = {"method": "POST", "access_log": False, "keep_alive": True, **given}
        self.cycle = RequestResponseCycle(
            scope=cast("Any", {"type": "http", "method": given["method"]}),
            transport=self.wire,
            flow=FlowControl(self.wire),
            logger=logging.getLogger("uvicorn.error"),
            access_logger=logging.getLogger("uvicorn.access"),
            access_log=given["access_log"],
            default_headers=[(b"date", b"today")],
            message_event=asyncio.Event(),
            expect_100_continue=True,
            keep_alive=given["keep_alive"],
            on_response=self.count,
        )
        self.direct = DirectWriter(self.cycle)

    def count(self) -> None:
        self.answered += 1

    def outcome(self) -> tuple[object, ...]:
        state = tuple(getattr(self.cycle, name) for name in STATE)
        return self.wire.written.lower(), self.wire.closed, self.answered, self.cycle.message_event.is_set(), state


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_a_response_is_the_same_as_through_asgi(keep_alive: bool) -> None:
    asgi, past = Exchange(keep_alive=keep_alive), Exchange(keep_alive=keep_alive)
    raw = [(name.encode(), value.encode()) for name, value in OURS.items()] + stock_headers(MEDIA_TYPE)
    await asgi.cycle.send({"type": "http.response.start", "status": 200, "headers": raw})
    assert past.direct.begin(OURS, stock_lines(MEDIA_TYPE))
    assert past.outcome() == asgi.outcome()
    await asgi.cycle.send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    assert past.direct.write(b"data: 1\n\n")
    assert past.outcome() == asgi.outcome()
    await asgi.cycle.send({"type": "http.response.body", "body": b"", "more_body": False})
    assert past.direct.finish()
    assert past.outcome() == asgi.outcome()
    assert past.wire.closed is not keep_alive


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_a_whole_response_is_the_same_as_through_asgi(keep_alive: bool) -> None:
    asgi, past = Exchange(keep_alive=keep_alive), Exchange(keep_alive=keep_alive)
    raw = [(b"x-thread-id", b"t_1"), (b"content-length", b"2"), (b"content-type", b"application/json")]
    await asgi.cycle.send({"type": "http.response.start", "status": 429, "headers": raw})
    await asgi.cycle.send({"type": "http.response.body", "body": b"{}", "more_body": False})
    assert past.direct.respond(429, raw, b"{}")
    assert past.outcome() == asgi.outcome()
    assert past.wire.closed is not keep_alive


@pytest.mark.parametrize(
    "header",
    [(b"connection", b"close"), (b"content-length", b"3"), (b"x-thread-id", b"a\r\nx-forged: 1"), (b"x-y", b"a\nb")],
)
async def test_a_whole_response_with_more_to_decide_is_left_to_asgi(header: tuple[bytes, bytes]) -> None:
    exchange = Exchange()
    length = [] if header[0] == b"content-length" else [(b"content-length", b"2")]
    assert not exchange.direct.respond(413, [*length, header], b"{}")
    assert exchange.wire.written == b""
    assert not exchange.cycle.response_started


@pytest.mark.parametrize("given", [{"method": "HEAD"}, {"access_log": True}])
async def test_what_only_asgi_does_is_left_to_it(given: dict[str, Any]) -> None:
    exchange = Exchange(**given)
    assert not exchange.direct.begin(OURS, b"")
    assert not exchange.direct.respond(429, [(b"content-length", b"2")], b"{}")
    assert exchange.wire.written == b""


async def test_nothing_is_written_out_of_turn() -> None:
    exchange = Exchange()
    assert not exchange.direct.write(b"before the head")
    assert not exchange.direct.finish()
    exchange.cycle.flow.pause_writing()
    assert not exchange.direct.begin(OURS, b"")
    exchange.cycle.flow.resume_writing()
    assert exchange.direct.begin(OURS, b"")
    assert not exchange.direct.begin(OURS, b"")
    exchange.cycle.flow.pause_writing()
    head = exchange.wire.written
    assert not exchange.direct.write(b"to a client that takes nothing")
    assert not exchange.direct.finish()
    exchange.cycle.flow.resume_writing()
    exchange.cycle.disconnected = True
    assert not exchange.direct.finish()
    assert exchange.wire.written == head


@pytest.mark.parametrize("value", ["a\r\nx-forged: 1", "a\nb", "a\rb"])
async def test_a_header_cannot_forge_another(value: str) -> None:
    exchange = Exchange()
    with pytest.raises(RuntimeError, match="line end"):
        exchange.direct.begin({"X-Thread-ID": value}, b"")
    assert exchange.wire.written == b""
    assert not exchange.cycle.response_started


async def test_what_comes_in_one_moment_is_one_write() -> None:
    exchange = Exchange()
    exchange.direct.cork()
    assert exchange.direct.begin(OURS, b"")
    assert exchange.direct.write(b"data: 1\n\n")
    assert exchange.direct.finish()
    assert exchange.wire.written == b""
    exchange.direct.uncork()
    assert exchange.wire.written.endswith(b"\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n")
