"""Kind 16: a provider that compresses in spite of `identity` is read as its bytes arrive, within bounds."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.attempt import Attempt
from adapters.providers.content_coding import FREE_BYTES, MAX_RATIO, PIECE_BYTES, Unpacker, codings
from domain.errors import ProviderResponseError
from tests.adapters.test_upstream import Peer, client
from tests.field.bytes_upstream import chunk, datas, doors

ATTEMPT = Attempt("p", "t")


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def members(data: bytes) -> bytes:
    return b"".join(gzip.compress(data[place : place + 50]) for place in range(0, len(data), 50)) or gzip.compress(b"")


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "both": ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    "twice": ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
    "identity and gzip": ("identity, gzip", gzip.compress),
    "members": ("gzip", members),
    "padded": ("gzip", lambda data: gzip.compress(data) + bytes(8)),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
async def test_a_packed_answer_is_the_same_answer(name: str, kind: str, tmp_path: Path) -> None:
    header, pack = PACKED[name]
    frames = [chunk({"content": "A"}), chunk({"content": "B"}), chunk({}, "stop")]
    async with doors(tmp_path) as at:
        at.upstream.says(*frames)
        if kind == "application/json":
            message = {"role": "assistant", "content": "AB"}
            whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
            at.upstream.body, at.upstream.kind = json.dumps(whole).encode(), kind
        at.upstream.body = pack(at.upstream.body)
        at.upstream.headers = {"content-encoding": header}
        if kind == "text/event-stream":
            assert await at.streamed() == [*datas(frames), b"[DONE]"]
        assert (await at.message())["content"] == "AB"
        assert [kind for kind, _ in await at.native()][-1] == "complete"


@pytest.mark.parametrize("name", ["br", "zstd", "compress", "gzip, br", "gzip, gzip, gzip", "gzip;q=1"])
async def test_other_codings_are_refused_clearly(name: str, tmp_path: Path) -> None:
    async with doors(tmp_path) as at:
        at.upstream.says(chunk({"content": "A"}, "stop"))
        at.upstream.headers = {"content-encoding": name}
        status, body = await at.plain()
        assert (status, body["error"]["code"]) == (502, "provider_bad_response")
        assert "compressed" in body["error"]["message"]


async def test_an_error_that_is_packed_is_read(tmp_path: Path) -> None:
    async with doors(tmp_path) as at:
        at.upstream.body = gzip.compress(json.dumps({"error": {"code": 429}}).encode())
        at.upstream.kind, at.upstream.headers = "application/json", {"content-encoding": "gzip"}
        assert (await at.plain())[0] == 429


@pytest.mark.parametrize(("wbits", "header"), [(31, "gzip"), (15, "deflate"), (-15, "deflate")])
def test_what_has_come_is_given_at_once(wbits: int, header: str) -> None:
    """A delta waits for no byte of the next one."""
    packer = zlib.compressobj(wbits=wbits)
    names = codings(header)
    assert names is not None
    unpacker = Unpacker(names, ATTEMPT)
    for number in range(20):
        event = b"data: %d\n\n" % number
        packed = packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(unpacker.pieces(packed)) == event


@pytest.mark.parametrize("way", ["read", "pour"])
async def test_each_event_arrives_before_the_next_is_sent(way: str) -> None:
    """Through the client of the providers, whose two ways of reading both unpack."""
    heard = asyncio.Semaphore(0)

    async def slow(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n")
        packer = zlib.compressobj(wbits=31)
        for number in range(5):
            writer.write(packer.compress(b"%d" % number) + packer.flush(zlib.Z_SYNC_FLUSH))
            await writer.drain()
            await asyncio.wait_for(heard.acquire(), 5)
        writer.write(packer.flush())
        writer.close()

    got: list[bytes] = []

    def take(data: bytes) -> bool:
        got.append(data)
        heard.release()
        return True

    async with client(slow) as (upstream, _), upstream.post("/x", b"", ATTEMPT) as response:
        if way == "pour":
            await asyncio.wait_for(response.pour(take), 10)
        else:
            while data := await asyncio.wait_for(response.read(), 5):
                take(data)
    assert [data for data in got if data] == [b"0", b"1", b"2", b"3", b"4"]  # and nothing, of what is no data


@given(st.binary(max_size=3_000), st.sampled_from(sorted(PACKED)), st.lists(st.integers(0, 4_000), max_size=8))
def test_any_bytes_in_any_pieces(data: bytes, name: str, cuts: list[int]) -> None:
    header, pack = PACKED[name]
    packed = pack(data)
    names = codings(header)
    assert names is not None
    unpacker = Unpacker(names, ATTEMPT)
    places = [0, *sorted(cut % (len(packed) + 1) for cut in cuts), len(packed)]
    pieces = [packed[begin:end] for begin, end in pairwise(places)]
    assert b"".join(piece for one in pieces for piece in unpacker.pieces(one)) == data


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda data: gzip.compress(gzip.compress(data))])
def test_a_bomb_is_not_unpacked(pack: Callable[[bytes], bytes]) -> None:
    """Half a megabyte that would be five hundred: no more comes out than the bounds say, in pieces."""
    packed = pack(bytes(200 << 20))
    header = {b"\x1f": "gzip"}.get(packed[:1], "deflate")
    names = codings("gzip, gzip" if len(packed) < 100_000 else header)
    assert names is not None
    unpacker, total = Unpacker(names, ATTEMPT), 0
    with pytest.raises(ProviderResponseError, match="more than it may"):
        for place in range(0, len(packed), 1 << 14):
            for piece in unpacker.pieces(packed[place : place + (1 << 14)]):
                assert len(piece) <= PIECE_BYTES
                total += len(piece)
    assert total <= max(FREE_BYTES, MAX_RATIO * len(packed))


def test_what_is_not_packed_so_is_a_failure() -> None:
    for header, body in (
        ("gzip", b"hello"),
        ("deflate", b"\xff\xff\xff"),
        ("gzip", gzip.compress(b"a")[:-4] + b"1234"),
    ):
        unpacker = Unpacker([header], ATTEMPT)
        with pytest.raises(ProviderResponseError):
            list(unpacker.pieces(body))
    empty = Unpacker(["gzip"], ATTEMPT)
    assert list(empty.pieces(b"\x1f\x8b")) == []
    with pytest.raises(ProviderResponseError):
        empty.end()
    Unpacker(["gzip"], ATTEMPT).end()


async def test_a_packed_stream_that_is_cut_is_no_success_r4(tmp_path: Path) -> None:
    async with doors(tmp_path) as at:
        at.upstream.says(chunk({"content": "A" * 50}), chunk({}, "stop"))
        packer = zlib.compressobj(wbits=31)
        half = at.upstream.body[:150]
        at.upstream.body = packer.compress(half) + packer.flush(zlib.Z_SYNC_FLUSH)
        at.upstream.headers = {"content-encoding": "gzip"}
        assert (await at.plain())[0] == 502


def test_bytes_that_unpack_to_nothing_yet_are_a_sign_of_life_r2() -> None:
    """A head of gzip comes before any text; the limits of silence count from it."""
    packed = gzip.compress(b"data: 1\n\n")
    fed: list[bytes] = []

    def feed(data: bytes) -> bool:
        fed.append(data)
        return True

    pour = Unpacker(["gzip"], ATTEMPT).feeding(feed)
    for byte in packed:
        assert pour(bytes([byte]))
    assert len(fed) == len(packed)
    assert b"".join(fed) == b"data: 1\n\n"
