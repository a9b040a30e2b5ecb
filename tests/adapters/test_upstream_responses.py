"""What the HTTP client of the providers makes of responses: cut, foreign, endless, and larger than anyone reads."""

import asyncio

import pytest

from domain.errors import ProviderConnectionError, ProviderResponseError
from tests.adapters.test_upstream import ATTEMPT, CHUNKED, HELLO, Peer, client, fetch, says


async def test_the_response_has_a_status_and_headers_in_lower_case() -> None:
    answer = b"HTTP/1.1 418 Teapot\r\nX-A: 1\r\nx-a: 2\r\nRetry-After: 7\r\ncontent-length: 0\r\n\r\n"
    async with client(says(answer)) as (upstream, _), upstream.post("/x", b"", ATTEMPT) as response:
        assert response.status == 418
        assert response.headers["x-a"] == "1, 2"
        assert response.headers["retry-after"] == "7"
        assert await response.read() == b""
        assert await response.read() == b""


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"9\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
    ],
    ids=["between-chunks", "in-a-chunk", "content-length"],
)
async def test_r4_a_cut_body_gives_what_came_and_then_an_error(answer: bytes) -> None:
    async with client(says(answer, close=True)) as (upstream, _), upstream.post("/x", b"", ATTEMPT) as response:
        assert await response.read() == b"hello"
        for _ in range(2):
            with pytest.raises(ProviderConnectionError):
                await response.read()


async def test_the_end_of_the_connection_ends_a_body_that_has_no_other_end() -> None:
    async with client(says(b"HTTP/1.1 200 OK\r\n\r\nhello", close=True)) as (upstream, _):
        assert await fetch(upstream) == b"hello"
        assert upstream.idle == 0


async def test_interim_answers_and_trailers_are_passed_over() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + CHUNKED
    async with client(says(answer, b"5\r\nhello\r\n0\r\nx-late: 1\r\n\r\n"), says(HELLO)) as (upstream, peer):
        async with upstream.post("/x", b"", ATTEMPT) as response:
            assert response.status == 200
            assert "link" not in response.headers
            assert await response.read() == b"hello"
            assert await response.read() == b""
            assert "x-late" not in response.headers
        async with upstream.post("/x", b"", ATTEMPT) as response:
            assert dict(response.headers) == {"content-length": "5"}
    assert peer.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: zstd\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: identity, br\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * (70 << 10) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * (70 << 10),
        b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" * 3000,
    ],
    ids=["ssh", "zstd", "br", "te", "lengths", "upgrade", "long-header", "many-headers", "endless-header", "interim"],
)
async def test_what_is_not_a_plain_http_answer_is_refused_within_bounds(answer: bytes) -> None:
    async with client(says(answer)) as (upstream, _):
        with pytest.raises(ProviderResponseError):
            await asyncio.wait_for(fetch(upstream), 5)
        assert upstream.idle == 0


async def test_broken_chunks_after_good_ones_are_an_error_after_what_was_good() -> None:
    answer = CHUNKED + b"5\r\nhello\r\nnot hex\r\n"
    async with client(says(answer)) as (upstream, _), upstream.post("/x", b"", ATTEMPT) as response:
        assert await response.read() == b"hello"
        with pytest.raises(ProviderResponseError):
            await response.read()


async def test_a_body_that_nobody_reads_is_not_taken_in() -> None:
    size, sent = 64 << 20, 0

    async def flood(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    async with client(flood) as (upstream, _), upstream.post("/x", b"", ATTEMPT) as response:
        before = -1
        while before != sent:  # until the kernel's buffers are full and the peer has to wait
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 32 << 20
        largest = total = 0
        while piece := await response.read():
            largest, total = max(largest, len(piece)), total + len(piece)
        assert total == size
        assert largest <= 768 << 10


async def test_chunk_extensions_and_tiny_chunks_do_not_stop_the_reader() -> None:
    body = CHUNKED + b"".join(b"1;%b\r\nx\r\n" % (b"e" * 2000) for _ in range(1000)) + b"0\r\n\r\n"
    async with client(says(body)) as (upstream, _):
        assert await asyncio.wait_for(fetch(upstream), 5) == b"x" * 1000
