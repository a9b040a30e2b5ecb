"""The shape that the chunks of an answer repeat: most are read by comparing bytes, without a JSON decoder."""

from collections.abc import Sequence

from domain.delta import PLAIN, Delta

TRIES = 8
"""How often an answer's shape is looked for: where ids or probabilities change with each chunk, there is none."""
_KEY = b'"content":'
_BETWEEN = b"\n"  # in no chunk, as none of an event's data has it


class ChunkTemplate:
    """What the chunks of one answer have around their texts, learned from one of them.

    A text with anything that JSON or the wire escapes (S15) in it fits no template: it is left to the decoder.
    """

    __slots__ = ("_block_head", "_block_tail", "_head", "_tail", "shape", "tries")

    def __init__(self) -> None:
        self.tries = TRIES
        """How often a shape is looked for yet."""
        self.shape = PLAIN
        """That of the chunks which fit; without a `tail`, none do."""
        self._forget()

    def text(self, data: bytes) -> str | None:
        """The text in a chunk, which is UTF-8; None if it does not fit."""
        return _between(self._head, data, self._tail)

    def text_of_block(self, block: bytes) -> str | None:
        """The text in a whole event, as it comes over the wire."""
        if self.shape is PLAIN:
            return None  # the wire, unlike data, may have a lone line end
        return _between(self._block_head, block, self._block_tail)

    def texts(self, chunks: Sequence[bytes]) -> list[str]:
        """The texts of the first chunks, all at once: of all that fit, or of none where one between them does not."""
        head, tail, count = self._head, self._tail, len(chunks)
        while count and not (chunks[count - 1].startswith(head) and chunks[count - 1].endswith(tail)):
            count -= 1  # the last ones mostly: the end of the answer
        chunks = chunks[:count]
        start, end = len(head), -len(tail)
        texts = [chunk[start:end] for chunk in chunks]
        if _BETWEEN.join(chunks) != head + (tail + _BETWEEN + head).join(texts) + tail:
            return []
        joined = b'"'.join(texts).decode()
        if "\\" in joined or not joined.isprintable():
            return []
        found = joined.split('"')
        return found if len(found) == count else []

    def learn(self, data: bytes, delta: Delta) -> None:
        """Takes the shape of this chunk, if the place of its text is beyond doubt and nothing else in it is news."""
        text, shape = delta
        self.tries -= 1
        self._forget()
        if not shape.plain or shape.head != data or data.count(_KEY) != 1 or b"\\" in data or not text.isprintable():
            return
        start = data.index(_KEY) + len(_KEY)
        start += data.startswith(b" ", start)
        quoted = b'"%b"' % text.encode()
        if data.startswith(quoted, start):
            self._head, self._tail = data[: start + 1], data[start + len(quoted) - 1 :]
            self._block_head, self._block_tail = b"data: " + self._head, self._tail + b"\n\n"
            self.shape = shape._replace(head=self._head, tail=self._tail)

    def _forget(self) -> None:
        self._head = self._block_head = b"\r"  # a line end: no data of an event begins with one
        self._tail = self._block_tail = b"\r"
        self.shape = PLAIN


def _between(head: bytes, data: bytes, tail: bytes) -> str | None:
    if data.startswith(head) and data.endswith(tail) and len(data) >= len(head) + len(tail):
        try:
            text = data[len(head) : -len(tail)].decode()
        except UnicodeDecodeError:
            return None
        if text.isprintable() and '"' not in text and "\\" not in text:
            return text
    return None
