"""Bodies in chunks (RFC 9112, 7.1): their data, with extensions and trailers counted and dropped."""

import re

from entrypoints.http.server.head import HttpRefusalError

MAX_CHUNKS_AT_ONCE = 500
"""Chunks that one `feed` reads at most: about a millisecond, however small they are."""
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})((?:[ \t]*;[^\x00\r\n]*)?)")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00\r\n]*")


class ChunkedBody:
    """Reads one body. At most `overhead_bytes` of extensions and trailers are allowed; a trailer is never a header: it
    would come from past the checks that headers went through (BAD_INPUT 46)."""

    __slots__ = ("_left", "_overhead", "_trailing", "done", "interrupted")

    def __init__(self, overhead_bytes: int) -> None:
        self._overhead = overhead_bytes
        self._left = -1
        """Bytes that are missing of the chunk; 0: its line end is missing; -1: its size is."""
        self._trailing = False
        self.done = False
        self.interrupted = False
        """Whether the last `feed` stopped at MAX_CHUNKS_AT_ONCE, and not for want of data."""

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """The data of the chunks in `data`, and how much of `data` was used. What was not used has to come again, with
        more behind it, or by itself after an interruption. Raises `HttpRefusalError`."""
        pieces: list[bytes] = []
        self.interrupted = False
        at, size = 0, len(data)
        for _ in range(MAX_CHUNKS_AT_ONCE):
            if self._left > 0:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
            if self._left == 0:
                if data[at : at + 2] != b"\r\n":
                    if size - at >= 2 or data[at : at + 1] not in {b"", b"\r"}:
                        raise _bad("A chunk does not end where it says.")
                    break
                at += 2
                self._left = -1
            if self._left > 0 or self.done:
                break
            line_end = self._line_end(data, at)
            if line_end < 0:
                break
            self._read_line(data[at:line_end])
            at = line_end + 2
        else:
            self.interrupted = True
        return b"".join(pieces), at

    def _line_end(self, data: bytes, at: int) -> int:
        """Where the line that begins at `at` ends, or -1 if its end has not come."""
        most = at + self._overhead + 16
        end = data.find(b"\r\n", at, most)
        if end < 0 and b"\n" in data[at:most]:
            raise _bad("A line of the body ends without a carriage return.")
        if end < 0 and len(data) >= most:
            raise _too_large()
        return end

    def _read_line(self, line: bytes) -> None:
        if self._trailing:
            if not line:
                self.done = True
                return
            self._spend(len(line) + 2)
            if not _TRAILER.fullmatch(line):
                raise _bad("A trailer is malformed.")
            return
        size = _SIZE.fullmatch(line)
        if size is None:
            raise _bad("A chunk has no valid size.")
        self._spend(len(size[2]))
        self._left = int(size[1], 16) or -1
        self._trailing = self._left < 0

    def _spend(self, size: int) -> None:
        self._overhead -= size
        if self._overhead < 0:
            raise _too_large()


def _too_large() -> HttpRefusalError:
    return HttpRefusalError(400, "chunk_overhead_too_large", "Chunk extensions and trailers are too large.")


def _bad(text: str) -> HttpRefusalError:
    return HttpRefusalError(400, "bad_request", text)
