"""Bodies over a raw socket: framing, trailers, offers and older HTTP (G1, G2; BAD_INPUT 21, 24, 46; FIELD 7, 8)."""

import json

import pytest

from tests.raw_http import HOST, raw
from tests.service import running

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
LIVE = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"


def chat(prompt: str = "hi", *, stream: bool = False, model: str = "demo") -> bytes:
    """The body of a request."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}], "stream": stream}).encode()


def sized(body: bytes, more: bytes = b"") -> bytes:
    """A request with this body and its length."""
    return CHAT + more + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def chunked(body: bytes, size: int, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    """A request with this body in chunks."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    return CHAT + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailers + b"\r\n"


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("slices", [1, 3, 1_000_000])
async def test_a_body_in_chunks_is_read_whatever_their_size(size: int, slices: int) -> None:
    async with running() as service, raw(service.port) as client:
        request = chunked(chat("x" * 300), size, b";a=b" if size > 1 else b"")
        for at in range(0, len(request), slices):
            await client.send(request[at : at + slices])
        assert (await client.response()).status == 200
        await client.send(LIVE)
        assert (await client.response()).status == 200


async def test_a_body_of_very_many_chunks_is_read_and_others_have_their_turn_g6() -> None:
    async with running() as service, raw(service.port) as client, raw(service.port) as other:
        await client.send(chunked(chat("x" * 100_000), 1))
        await other.send(LIVE)
        assert (await other.response()).status == 200
        assert (await client.response()).status == 200


@pytest.mark.parametrize(
    "rest",
    [
        b"zz\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\na\r\n",
        b"-1\r\n",
        b"0x1\r\na\r\n",
        b"1 \r\na\r\n",
        b"111111111\r\n",
        b"1;" + b"x" * 5_000,
        b"1;" + b"x" * 5_000 + b"\r\na\r\n",
        b"1;" + b"x" * 1_000 + b"\r\na\r\n" + (b"1;" + b"x" * 1_000 + b"\r\na\r\n") * 4,
        b"0\r\nX: " + b"a" * 5_000,
        b"0\r\n" + b"X: a\r\n" * 1_000,
        b"0\r\nno colon\r\n\r\n",
    ],
)
async def test_malformed_chunks_and_large_extensions_and_trailers_are_refused_24(rest: bytes) -> None:
    """G2: chunk extensions and trailers have 4 KiB together."""
    async with running() as service, raw(service.port) as client:
        await client.send(CHAT + b"Transfer-Encoding: chunked\r\n\r\n" + rest)
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (400, ["close"])
        assert await client.closed() == b""


async def test_a_trailer_is_never_a_header_46() -> None:
    """G2: a key in a trailer opens nothing, and a thread id there is not the request's."""
    async with running() as service, raw(service.port) as client:
        trailers = b"Authorization: Bearer sk-x\r\nX-Thread-ID: forged\r\nCache-Control: no-store\r\n"
        for _ in range(2):
            await client.send(chunked(chat("same"), 1_000, trailers=trailers))
            response = await client.response()
            assert response.status == 200
            assert response.headers["x-thread-id"] != ["forged"]
        assert response.headers["x-cache"] == ["hit-l1"]


async def test_an_offer_of_another_protocol_is_ignored_and_the_body_read() -> None:
    """FIELD 7: the JDK's client offers h2c on each POST."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    async with running() as service, raw(service.port) as client:
        for _ in range(2):
            await client.send(sized(chat(), offer))
            assert (await client.response()).status == 200


async def test_the_client_is_told_to_continue_when_its_body_is_wanted() -> None:
    async with running() as service, raw(service.port) as client:
        body = chat()
        await client.send(CHAT + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert (await client.response()).status == 100
        await client.send(body)
        assert (await client.response()).status == 200


async def test_a_body_that_is_not_wanted_is_not_asked_for() -> None:
    async with running() as service, raw(service.port) as client:
        await client.send(CHAT + b"Expect: 100-continue\r\nContent-Length: 20000000\r\n\r\n")
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (413, ["close"])


async def test_http_1_0_gets_the_raw_body_until_the_end() -> None:
    """FIELD 8: no chunks, and the connection closes."""
    async with running() as service, raw(service.port) as client:
        await client.send(sized(chat("x", stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0"))
        response = await client.response()
        assert response.status == 200
        assert "transfer-encoding" not in response.headers
        assert response.headers["connection"] == ["close"]
        assert response.body.startswith(b"id: ")
        assert response.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_closes_gets_one_connection_header(stream: bool) -> None:
    """FIELD 8."""
    async with running() as service, raw(service.port) as client:
        await client.send(sized(chat("x", stream=stream), b"Connection: close\r\n"))
        response = await client.response()
        assert response.headers["connection"] == ["close"]
        assert await client.closed() == b""


async def test_requests_that_come_at_once_are_answered_in_turn_g1() -> None:
    async with running() as service, raw(service.port) as client:
        await client.send(sized(chat(stream=True)) + LIVE + sized(chat()) + chunked(chat(), 9) + LIVE)
        assert (await client.response()).body.endswith(b"data: [DONE]\n\n")
        assert (await client.response()).body == b'{"status":"ok"}'
        assert (await client.response()).status == 200
        assert (await client.response()).status == 200
        assert (await client.response()).body == b'{"status":"ok"}'


async def test_a_large_request_behind_a_stream_is_not_kept_g1() -> None:
    """More than the connection keeps: it ends with the stream, without a reset, and the client sends it again."""
    async with running() as service, raw(service.port) as client:
        await client.send(sized(chat(stream=True)))
        await client.send(sized(chat("x" * 1_000_000)))
        assert (await client.response()).body.endswith(b"data: [DONE]\n\n")
        assert await client.closed() == b""


async def test_a_body_that_nobody_wants_does_not_hold_up_the_answer_g7() -> None:
    async with running() as service, raw(service.port) as client:
        await client.send(LIVE[:-2] + b"Content-Length: 10000000\r\n\r\n" + b"a" * 300_000)
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (200, ["close"])
