"""The body of a request as it arrives: where it ends, and whether it comes fast enough."""

from entrypoints.http.server.chunked_body import ChunkedBody
from entrypoints.http.server.head import CHUNKED
from entrypoints.http.server.limits import ConnectionLimits


class RequestBody:
    """A body of `length` bytes, or in chunks, whose head came at `now` (monotonic seconds)."""

    __slots__ = ("_began", "_chunks", "_kept", "_left", "_limits", "_paused_at", "_received", "done")

    def __init__(self, length: int, limits: ConnectionLimits, now: float) -> None:
        self._limits = limits
        self._left = length
        self._chunks = ChunkedBody(limits.chunk_overhead_bytes) if length == CHUNKED else None
        self._kept = b""
        self._received = 0
        """Bytes since `_began`."""
        self._began = now
        self._paused_at = 0.0
        self.done = not length

    @property
    def interrupted(self) -> bool:
        """Whether the last `feed` left some of what has come for later: so many chunks were in it."""
        return self._chunks is not None and self._chunks.interrupted

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The part of the body in `data`, and what follows the body. Raises `HttpRefusalError`."""
        if self._chunks is None:
            rest = data[self._left :]
            body = data[: self._left] if rest else data
            self._left -= len(body)
            self.done = not self._left
        else:
            whole = self._kept + data if self._kept else data
            body, used = self._chunks.feed(whole)
            self._kept, rest = whole[used:], b""
            self.done = self._chunks.done
            if self.done:
                rest, self._kept = self._kept, b""
        self._received += len(body)
        return body, rest

    def deadline(self, now: float) -> float:
        """When it is too slow (G3): what the least speed makes of `body_seconds` has to come in each such time. An
        average over all of the body would let who was fast at first be slow for hours."""
        limits = self._limits
        if self._received >= limits.body_seconds * limits.body_bytes_per_second:
            self._received, self._began = 0, now
        return self._began + limits.body_seconds

    def pause(self, now: float) -> None:
        """Nobody reads it: from now on the time does not count."""
        self._paused_at = now

    def resume(self, now: float) -> None:
        """It is read again."""
        self._began += now - self._paused_at
