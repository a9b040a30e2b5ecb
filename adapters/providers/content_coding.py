"""Bodies that a provider compressed although it was asked not to: read as they arrive, and bounded."""

import zlib
from collections.abc import Callable, Iterator

from adapters.providers.attempt import Attempt
from domain.errors import ProviderResponseError

PIECE_BYTES = 256 << 10
"""So much is unpacked at once."""
FREE_BYTES = 1 << 20
MAX_RATIO = 200
"""Above FREE_BYTES, what is unpacked is at most so many times as large as what came: events that are all alike come to
50, a bomb to 1,000."""
MAX_CODINGS = 2
_GZIP, _RAW, _ZLIB = zlib.MAX_WBITS | 16, -zlib.MAX_WBITS, zlib.MAX_WBITS
READ = frozenset({"gzip", "x-gzip", "deflate"})


def codings(header: str) -> list[str] | None:
    """The codings that a `Content-Encoding` names, the last one that was applied first; None for one that is not read
    here, or for more than MAX_CODINGS."""
    names = [name for part in header.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    return names[::-1] if len(names) <= MAX_CODINGS and READ.issuperset(names) else None


class Unpacker:
    """The body behind one or two codings. Each read gives all that has arrived: nothing waits for more bytes."""

    def __init__(self, names: list[str], attempt: Attempt) -> None:
        self._steps = [_Inflater(gzip=name != "deflate") for name in names]
        self._attempt = attempt
        self._packed = self._unpacked = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What these bytes unpack to, piece by piece. Raises `ProviderResponseError` for what is not packed so, and
        above the bounds."""
        self._packed += len(data)
        try:
            yield from self._through(data, 0)
        except zlib.error as error:
            message = "The provider's answer is not packed in the way that it says."
            raise self._attempt.error(ProviderResponseError, message) from error

    def _through(self, data: bytes, step: int) -> Iterator[bytes]:
        last = step == len(self._steps) - 1
        for piece in self._steps[step].pieces(data):
            self._unpacked += len(piece)
            if self._unpacked > max(FREE_BYTES, MAX_RATIO * self._packed):
                message = "The provider's answer unpacks to more than it may."
                raise self._attempt.error(ProviderResponseError, message)
            if last:
                yield piece
            else:
                yield from self._through(piece, step + 1)

    def end(self) -> None:
        """The body is over. Raises `ProviderResponseError` if nothing could be unpacked of it."""
        if self._packed and not self._unpacked:
            message = "The provider's answer is not packed in the way that it says."
            raise self._attempt.error(ProviderResponseError, message)

    def feeding(self, feed: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """The same as `feed`, for what is packed."""

        def pour(data: bytes) -> bool:
            pieces = self.pieces(data)
            # What unpacks to nothing yet is handed on as nothing: it is a sign of life all the same (R2).
            return feed(next(pieces, b"")) and all(map(feed, pieces))

        return pour


class _Inflater:
    """One coding. Gzip may have several members and zeros behind them (RFC 1952, section 2.2). `deflate` is zlib's
    format, and what some servers take it for: the same without a head."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._stream = zlib.decompressobj(_GZIP) if gzip else None
        self._head = b""
        self._ended = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._ended:
                data = data.lstrip(b"\0") if self._gzip else b""
                if not data:
                    return
                self._ended, self._stream = False, zlib.decompressobj(_GZIP)
            if self._stream is None:
                data = self._head = self._head + data
                if len(data) < 2:
                    return
                zlibs = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
                self._stream = zlib.decompressobj(_ZLIB if zlibs else _RAW)
            piece = self._stream.decompress(data, PIECE_BYTES)
            while piece:
                yield piece
                piece = self._stream.decompress(self._stream.unconsumed_tail, PIECE_BYTES)
            self._ended, data = self._stream.eof, self._stream.unused_data
