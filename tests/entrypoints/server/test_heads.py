"""Heads of requests over a raw socket: each malformed or too large one has its answer at once (G2)."""

import pytest

from tests.raw_http import HOST, raw
from tests.service import running

GET = b"GET /livez HTTP/1.1\r\n"
END = b"\r\n"
MALFORMED = {
    "no host": GET + END,
    "two hosts": GET + HOST + HOST + END,
    "a host with a path": GET + b"Host: a/?x=\r\n" + END,
    "a host with a user": GET + b"Host: a@b\r\n" + END,
    "an empty host": GET + b"Host:\r\n" + END,
    "a host with a space": GET + b"Host: a b\r\n" + END,
    "a host with a long port": GET + b"Host: a:123456\r\n" + END,
    "two hosts in one": GET + b"Host: a, b\r\n" + END,
    "two authorizations": GET + HOST + b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n" + END,
    "two API keys": GET + HOST + b"X-Api-Key: a\r\nx-api-key: b\r\n" + END,
    "HTTP/0.9": b"GET /livez\r\n",
    "HTTP/0.9 with an end": b"GET /livez\r\n\r\n",
    "a version with letters": b"GET /livez HTTP/1.x\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "bare line feeds": b"GET /livez HTTP/1.1\nHost: a\n\n",
    "a bare line feed": GET + b"Host: a\nX: b\r\n" + END,
    "a NUL in a value": GET + HOST + b"X: a\0b\r\n" + END,
    "a carriage return in a value": GET + HOST + b"X: a\rb\r\n" + END,
    "a folded header": GET + HOST + b"X: a\r\n b\r\n" + END,
    "a space before a colon": GET + HOST + b"X : a\r\n" + END,
    "no name": GET + HOST + b": a\r\n" + END,
    "no colon": GET + HOST + b"X\r\n" + END,
    "no path": b"GET livez HTTP/1.1\r\n" + HOST + END,
    "another server's address": b"GET http://a/livez HTTP/1.1\r\n" + HOST + END,
    "a fragment": b"GET /livez#a HTTP/1.1\r\n" + HOST + END,
    "raw bytes in the path": b"GET /\xff HTTP/1.1\r\n" + HOST + END,
    "two spaces": b"GET  /livez HTTP/1.1\r\n" + HOST + END,
    "a method with a comma": b"GE,T /livez HTTP/1.1\r\n" + HOST + END,
    "a long method": b"G" * 33 + b" /livez HTTP/1.1\r\n" + HOST + END,
    "a length and an encoding": GET + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" + END,
    "two lengths": GET + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n" + END,
    "the same length twice": GET + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n" + END,
    "a negative length": GET + HOST + b"Content-Length: -1\r\n" + END,
    "a length with a sign": GET + HOST + b"Content-Length: +5\r\n" + END,
    "lengths in a list": GET + HOST + b"Content-Length: 5, 5\r\n" + END,
    "a length of 30 digits": GET + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n" + END,
    "an unknown encoding": GET + HOST + b"Transfer-Encoding: gzip\r\n" + END,
    "two encodings": GET + HOST + b"Transfer-Encoding: gzip, chunked\r\n" + END,
    "an encoding twice": GET + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" + END,
    "chunks in HTTP/1.0": b"GET /livez HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n" + END,
}
TOO_LARGE = {
    "headers": (GET + HOST + b"X: " + b"a" * 33_000, 431),
    "headers with an end": (GET + HOST + b"X: " + b"a" * 33_000 + b"\r\n" + END, 431),
    "small headers": (GET + HOST + b"X: a\r\n" * 100 + END, 431),
    "a name": (GET + HOST + b"X" * 33_000, 431),
    "a target": (b"GET /" + b"a" * 8_300, 414),
    "a target with an end": (b"GET /" + b"a" * 8_192 + b" HTTP/1.1\r\n" + HOST + END, 414),
    "a query": (b"GET /livez?" + b"a" * 8_300, 414),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_head_is_answered_at_once_and_the_connection_closed_g2(name: str) -> None:
    """BAD_INPUT 21-23, 25, 47: 400 without waiting for more, whether or not the head can ever be whole."""
    async with running() as service, raw(service.port) as client:
        await client.send(MALFORMED[name])
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (400, ["close"])
        assert await client.closed() == b""


@pytest.mark.parametrize("name", TOO_LARGE)
async def test_a_head_that_is_too_large_is_refused_as_it_arrives_g2(name: str) -> None:
    """BAD_INPUT 19, 20, 44."""
    data, status = TOO_LARGE[name]
    async with running() as service, raw(service.port) as client:
        await client.send(data)
        response = await client.response()
        assert (response.status, response.headers["connection"]) == (status, ["close"])
        assert await client.closed() == b""


async def test_what_is_just_within_the_bounds_is_served_g2() -> None:
    async with running() as service, raw(service.port) as client:
        for data in (
            GET + HOST + b"X: a\r\n" * 99 + END,
            GET + HOST + b"X: " + b"a" * 32_000 + b"\r\n" + END,
            b"GET /livez?" + b"a" * 8_185 + b" HTTP/1.1\r\n" + HOST + END,
            b"\r\n\r\n" + GET + HOST + END,
            GET + b"Host: [::1]:8000\r\n" + END,
            GET + b"Host: localhost\r\n" + END,
        ):
            await client.send(data)
            assert (await client.response()).status == 200


async def test_a_head_may_come_in_pieces() -> None:
    async with running() as service, raw(service.port) as client:
        for piece in (b"\r", b"\nG", b"ET /li", b"vez HTTP/1.1\r", b"\nHost: 127.0.", b"0.1\r\n", b"X: y\r\n\r"):
            await client.send(piece)
        await client.send(b"\n")
        assert (await client.response()).body == b'{"status":"ok"}'


@pytest.mark.parametrize("method", [b"_HELPER", b"FOO", b"get", b"PROPFIND", b"SUBSCRIBE", b"PURGE"])
async def test_an_unknown_verb_is_told_what_is_allowed_54(method: bytes) -> None:
    async with running() as service, raw(service.port) as client:
        await client.send(method + b" /v1/models HTTP/1.1\r\n" + HOST + END)
        response = await client.response()
        assert response.status == 405
        assert "GET" in response.headers["allow"][0]


async def test_a_tunnel_is_not_allowed_54() -> None:
    async with running() as service, raw(service.port) as client:
        await client.send(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n" + HOST + END)
        response = await client.response()
        assert response.status == 405
        assert response.headers["allow"] == ["GET, HEAD, POST, DELETE, OPTIONS"]


async def test_a_web_socket_is_told_that_there_is_none_53() -> None:
    async with running() as service, raw(service.port) as client:
        offer = b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: AA==\r\n"
        await client.send(b"GET /v1/models HTTP/1.1\r\n" + HOST + offer + END)
        response = await client.response()
        assert (response.status, response.headers["upgrade"]) == (426, ["HTTP/1.1"])
