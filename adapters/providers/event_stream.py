"""Reads an event stream: bytes in any chunks -> events, by the EventSource standard (WHATWG HTML, section 9.2.6)."""

import re
from typing import NamedTuple

from adapters.answer_bounds import AnswerBounds
from adapters.providers.attempt import Attempt
from domain.errors import NoRoomLeftError, ProviderAnswerTooLargeError, ProviderResponseError

MAX_LINE_BYTES = 1 << 20
"""Of a line that is not the data of an event in JSON: no provider has any, and nothing could be done with it."""
MAX_STRAY_BYTES = 64 << 10
MESSAGE = "message"
"""The type of an event that names none."""

_BOM = b"\xef\xbb\xbf"
_JSON = re.compile(rb"data:[ \t]*[{\[]")
_OTHER_FIELDS = frozenset({b"", b"id", b"retry"})
"""Comments, and the fields that are not kept."""
_LINE_END = re.compile(rb"\r\n|\n|\r")


class ServerSentEvent(NamedTuple):
    """One event: its type, and its data as UTF-8 with LF between lines. Ids and `retry:` are not kept: nobody resumes
    a provider."""

    event: str
    data: bytes


class EventStreamParser:
    """Incremental parser of one event stream; push bytes in, take events out.

    A stream of one `data: ...` line a block, which is what providers send, is split in one pass over the chunk;
    everything else goes line by line. Time is linear in the bytes, whatever the chunking. The whole stream is at most
    `bounds.max_bytes`, and one event may be as large.
    """

    __slots__ = (
        "_after_cr", "_attempt", "_data", "_data_bytes", "_event", "_max_bytes", "_partial", "_place", "_seen",
        "_started", "_stray", "_within",
    )  # fmt: skip

    def __init__(self, attempt: Attempt, bounds: AnswerBounds | None = None) -> None:
        bounds = bounds or AnswerBounds()
        self._attempt = attempt
        self._max_bytes = bounds.max_bytes
        self._place = bounds.room.place()
        self._partial = bytearray()  # the last line, which has no end yet
        self._data: list[bytes] = []  # the lines of the block's data
        self._data_bytes = 0
        self._event = b""
        self._seen = 0
        self._started = False  # the place where a BOM may be is behind us
        self._after_cr = False  # a LF now belongs to the CR before it
        self._within = True  # something of a block is here, or may be
        self._stray = bytearray()  # the lines that are no field

    def feed(self, chunk: bytes) -> tuple[list[ServerSentEvent], list[bytes]]:
        """The events that end in this chunk: first those that were read by lines, then the data of plain messages.

        A block without its blank line is never dispatched. Raises `ProviderAnswerTooLargeError` above the bound,
        `ProviderResponseError` for a line above 1 MiB that is no JSON, and `NoRoomLeftError`.
        """
        self._seen += len(chunk)
        if self._seen > self._max_bytes:
            raise self._attempt.error(ProviderAnswerTooLargeError, "The answer is larger than it may be.")
        if not self._started:
            chunk = self._skip_bom(chunk)
        events: list[ServerSentEvent] = []
        messages: list[bytes] = []
        if b"\r" in chunk or self._after_cr or len(chunk) > MAX_LINE_BYTES:
            self._feed_lines(chunk, events)
        else:
            messages = self._feed_blocks(chunk, events)
        self._within = bool(self._data or self._event or self._partial or self._after_cr)
        return events, messages

    def _feed_blocks(self, chunk: bytes, events: list[ServerSentEvent]) -> list[bytes]:
        """Lines that end with LF alone. The data of the blocks that are one line is returned, if all are that."""
        if self._data or self._event or self._partial:
            end = chunk.find(b"\n\n") + 2
            self._feed_lines(chunk[:end] if end > 1 else chunk, events)
            chunk = chunk[end:] if end > 1 else b""
        messages: list[bytes] = []
        end = chunk.rfind(b"\n\n") + 2
        if end > 1 and chunk.startswith(b"data: "):
            pieces = chunk[6 : end - 2].split(b"\n\ndata: ")
            # If every block is one data line, none of these pieces has a line end in it. Joined, as counting goes byte
            # by byte.
            if b"\n" not in b"".join(pieces):
                messages = pieces if chunk.isascii() else [_utf8(piece) for piece in pieces]
                chunk = chunk[end:]
        if chunk:
            self._feed_lines(chunk, events)
        return messages

    def skip(self, block: bytes) -> bool:
        """Takes a whole block that somebody else has read. False, and nothing was taken, within another block."""
        if self._within:
            return False
        self._seen += len(block)
        return self._seen <= self._max_bytes

    def close(self) -> None:
        """Gives back the room of what never became whole."""
        self._partial.clear()
        self._data.clear()
        self._data_bytes = 0
        self._place.hold(0)

    def stray(self) -> bytes:
        """The beginning of what was no field of any event, the last line included: JSON, where that came instead of an
        event stream."""
        return bytes(self._stray + self._partial[:MAX_STRAY_BYTES])

    def _skip_bom(self, chunk: bytes) -> bytes:
        """What is left of the first bytes without a byte order mark; they are held back while they may be one."""
        head = bytes(self._partial) + chunk
        self._partial.clear()
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._partial += head
            return b""
        self._started = True
        return head.removeprefix(_BOM)

    def _feed_lines(self, chunk: bytes, events: list[ServerSentEvent]) -> None:
        """The general way: any line ends, any fields."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        lines = _LINE_END.split(chunk)
        if len(lines) > 1:
            self._after_cr = chunk.endswith(b"\r")
            if self._partial:
                self._partial += lines[0]
                lines[0] = bytes(self._partial)
                self._partial.clear()
        self._partial += lines.pop()
        for line in lines:
            if line:
                self._take_field(line)
            else:
                self._dispatch(events)
        if len(self._partial) > MAX_LINE_BYTES:
            self._check_line(self._partial)
        if not self._place.hold(len(self._partial) + self._data_bytes):
            raise self._attempt.error(NoRoomLeftError, "There is no room left for so large an event.", retry_after=1.0)

    def _check_line(self, line: bytes | bytearray) -> None:
        if not _JSON.match(line):
            raise self._attempt.error(ProviderResponseError, "A line of the answer is longer than it may be.")

    def _take_field(self, line: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            self._check_line(line)
        if line.startswith(b"data: "):  # without a copy more of what may be large
            self._data.append(line[6:])
            self._data_bytes += len(line)
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(line)
        elif name == b"event":
            self._event = value.removeprefix(b" ")
        elif name not in _OTHER_FIELDS and len(self._stray) < MAX_STRAY_BYTES:
            self._stray += line[:MAX_STRAY_BYTES] + b"\n"

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        """The end of a block; one without any `data` line dispatches nothing."""
        if self._data:
            kind = self._event.decode(errors="replace") or MESSAGE
            events.append(ServerSentEvent(kind, _utf8(b"\n".join(self._data))))
            self._data.clear()
            self._data_bytes = 0
        self._event = b""


def _utf8(data: bytes) -> bytes:
    """The same bytes if they are UTF-8, else with U+FFFD where they are not."""
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="replace").encode()
    return data
