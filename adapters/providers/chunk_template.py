"""The shape that the chunks of an answer repeat: most are read by comparing bytes, without a JSON decoder."""

from typing import Any

from adapters.providers.event_stream import MESSAGE, ServerSentEvent
from adapters.providers.streamed_answer import EventReader
from domain.model import Delta

TRIES = 8
"""How often an answer's shape is looked for: where ids or probabilities change with each chunk, there is none."""
_KEY = b'"content":'
_new_delta = tuple.__new__


class TemplateReader:
    """Reads the chunks of one answer: those that differ from an earlier one in their text alone by comparison, and all
    others by `reader`, whose deltas have as `raw` what the wire had."""

    __slots__ = ("_head", "_least", "_reader", "_rest", "_tail", "_tries")

    def __init__(self, reader: EventReader) -> None:
        self._reader = reader
        self._tries = TRIES
        self._rest: tuple[Any, ...] = ()
        self._forget()

    @property
    def over(self) -> bool:
        """What `reader` says."""
        return self._reader.over

    def delta(self, event: ServerSentEvent) -> Delta | None:
        """The delta of a chunk. A text with anything that JSON or the wire escapes (S15) in it is left to `reader`."""
        kind, data = event
        if data.startswith(self._head) and data.endswith(self._tail) and len(data) >= self._least and kind == MESSAGE:
            text = data[len(self._head) : -len(self._tail)].decode()
            if text.isprintable() and '"' not in text and "\\" not in text:
                return _new_delta(Delta, (text, data, *self._rest))
        delta = self._reader.delta(event)
        if self._tries and delta is not None and delta.text:
            self._tries -= 1
            self._learn(data, delta)
        return delta

    def _learn(self, data: bytes, delta: Delta) -> None:
        """Takes the shape of this chunk, if the place of its text is beyond doubt and nothing else in it is news."""
        self._forget()
        news = delta.finish_reason is not None or delta.usage is not None or delta.tool_calls or delta.raw != data
        if news or data.count(_KEY) != 1 or b"\\" in data or not delta.text.isprintable():
            return
        start = data.index(_KEY) + len(_KEY)
        start += data.startswith(b" ", start)
        quoted = b'"%b"' % delta.text.encode()
        if data.startswith(quoted, start):
            self._head, self._tail = data[: start + 1], data[start + len(quoted) - 1 :]
            self._least = len(self._head) + len(self._tail)
            self._rest = delta[2:]

    def _forget(self) -> None:
        self._head, self._tail, self._least = b"\r", b"", 0  # a line end: no data of an event holds one
        self._rest = ()
