"""The shape that the chunks of an answer repeat: most are read by comparing bytes, without a JSON decoder."""

from collections.abc import Callable, Sequence
from operator import itemgetter

from domain.delta import PLAIN, Delta, Shape

TRIES = 8
"""How often an answer's shape is looked for: where ids or probabilities change with each chunk, there is none."""
LARGE = 64 << 10
"""A chunk that is larger is no model of those that follow."""
_KEY = b'"content":'
_new_shape = tuple.__new__


class Frame:
    """What stands around a text, byte for byte.

    A text with anything that JSON or the wire escapes (S15) in it fits no frame: it is left to the decoder.
    """

    __slots__ = ("_cut", "_place", "head", "tail")

    def __init__(self, head: bytes, tail: bytes) -> None:
        self.head = head
        self.tail = tail
        self._place = slice(len(head), -len(tail))
        self._cut: Callable[[bytes], bytes] = itemgetter(self._place)

    def text(self, data: bytes) -> str | None:
        """The text in the frame, which is UTF-8; None if this does not fit, or there is none in it."""
        if data.startswith(self.head) and data.endswith(self.tail):
            try:
                text = data[self._place].decode()
            except UnicodeDecodeError:
                return None
            # Nothing is between the two where they overlap, too.
            if text and text.isprintable() and '"' not in text and "\\" not in text:
                return text
        return None

    def texts(self, chunks: Sequence[bytes]) -> list[str]:
        """The texts of the first chunks, all at once: of all that fit, or of none where one between them does not."""
        head, tail, count = self.head, self.tail, len(chunks)
        while count and not (chunks[count - 1].startswith(head) and chunks[count - 1].endswith(tail)):
            count -= 1  # the last ones mostly: the end of the answer
        chunks = chunks[:count]
        texts = list(map(self._cut, chunks))
        # Each chunk against its own part: one that is too short for the frame would make the whole longer.
        if b"".join(chunks) != b"%b%b%b" % (head, (tail + head).join(texts), tail):
            return []
        joined = b'"'.join(texts).decode()
        if "\\" in joined or not joined.isprintable():
            return []
        found = joined.split('"')
        return found if len(found) == count else []


class ChunkTemplate:
    """The shape of one answer's chunks, learned from one of them."""

    __slots__ = ("block", "chunk", "shape", "tries")

    def __init__(self) -> None:
        self.tries = TRIES
        """How often a shape is looked for yet."""
        self.shape = PLAIN
        """That of the chunks which fit."""
        self.chunk: Frame | None = None
        """What a chunk has around its text, if that is known."""
        self.block: Frame | None = None
        """What a whole event has, as it comes over the wire."""

    def learn(self, data: bytes, delta: Delta) -> None:
        """Takes the shape of this chunk, if the place of its text is beyond doubt and nothing else in it is news."""
        text, shape = delta
        self.tries -= 1
        self.chunk = self.block = None
        if (
            len(data) > LARGE
            or not shape.plain
            or shape.head != data
            or data.count(_KEY) != 1
            or b"\\" in data
            or not text.isprintable()
        ):
            return
        start = data.index(_KEY) + len(_KEY)
        start += data.startswith(b" ", start)
        quoted = b'"%b"' % text.encode()
        if data.startswith(quoted, start):
            head, tail = data[: start + 1], data[start + len(quoted) - 1 :]
            self.chunk = Frame(head, tail)
            self.block = Frame(b"data: " + head, tail + b"\n\n")
            self.shape = _new_shape(Shape, (head, tail, *shape[2:]))
