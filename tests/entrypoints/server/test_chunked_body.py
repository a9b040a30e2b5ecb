"""Bodies in chunks, however they are cut (RFC 9112, 7.1)."""

from hypothesis import given
from hypothesis import strategies as st

from entrypoints.http.server.chunked_body import MAX_CHUNKS_AT_ONCE, ChunkedBody


def read(body: ChunkedBody, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """All data, and what is left behind the body."""
    found, kept = b"", b""
    for piece in pieces:
        kept += piece
        while not body.done:
            data, used = body.feed(kept)
            found, kept = found + data, kept[used:]
            if not body.interrupted:
                break
    return found, kept


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20), st.lists(st.integers(1, 30), min_size=1), st.data())
def test_any_body_is_read_whatever_the_reads_bring(chunks: list[bytes], sizes: list[int], data: st.DataObject) -> None:
    """G2, S15: the data is exact, and what follows the body is not touched."""
    extensions = data.draw(st.lists(st.sampled_from([b"", b";a", b";a=b", b' ; q="x;y"']), min_size=20, max_size=20))
    trailers = data.draw(st.sampled_from([b"", b"X: y\r\n", b"Authorization: a\r\nb:\r\n"]))
    wire = b"".join(b"%X%b\r\n%b\r\n" % (len(one), more, one) for one, more in zip(chunks, extensions, strict=False))
    wire += b"000\r\n" + trailers + b"\r\n"
    rest = b"GET / HTTP/1.1\r\n"
    whole, at = wire + rest, 0
    pieces: list[bytes] = []
    while at < len(whole):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(whole[at : at + size])
        at += size
    body = ChunkedBody(4_096)
    assert read(body, pieces) == (b"".join(chunks), rest)
    assert body.done


def test_one_read_takes_a_bounded_number_of_chunks_g6() -> None:
    body = ChunkedBody(4_096)
    wire = b"1\r\nx\r\n" * (3 * MAX_CHUNKS_AT_ONCE)
    data, used = body.feed(wire)
    assert body.interrupted
    assert 0 < len(data) <= MAX_CHUNKS_AT_ONCE
    assert used < len(wire)
