"""A JSON text of any size and shape, read in short steps: each bound is kept as the bytes are passed, before values are
made (BAD_INPUT 7, 8, 10-13, 48; G6)."""

import codecs
import json
import math
import re
from collections.abc import Callable, Generator, Mapping

import msgspec

from domain.errors import (
    InvalidEncodingError,
    InvalidJsonError,
    JsonTooDeepError,
    NumberOutOfRangeError,
    RequestValidationError,
    TooManyItemsError,
    TooManyValuesError,
)
from domain.model import Json

MAX_VALUES = 50_000
MAX_DEPTH = 64
MAX_DIGITS = 100
"""Of an integer. To read and to write one takes time that grows with the square of its length."""
STEP_BYTES = 64 << 10
"""Of a text that is read at once, and the length of the longest number."""
STEP_WORK = 1_024
"""Work between two pauses: 1 for a value and for each 256 bytes of text, a microsecond or two."""
FIRST_BYTES = 256
"""Of a text that is looked at first: most are shorter. Each look at the same text is at four times as many."""

Steps = Generator[None, None, None]

_SPACE = re.compile(rb"[ \t\n\r]*")
_NUMBER = re.compile(rb"(-?(?:0|[1-9][0-9]*))((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_WORD = re.compile(rb"true|false|null|NaN|-?Infinity")
_WORDS: Mapping[bytes, bool | None] = {b"true": True, b"false": False, b"null": None}
_HIGH_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_MARKS = b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"
_QUOTE, _COLON, _COMMA, _BACKSLASH = b'":,\\'
_OBJECT, _OBJECT_END, _LIST, _LIST_END = b"{}[]"
_decode = msgspec.json.Decoder(str).decode


class JsonReader:
    """Reads one JSON text into `value`, with every bad input named. The last of duplicate keys wins.

    `bounds` are the most items that lists at the top level may have, by name: told as `too_many_items` where the whole
    has more values than it may have, too. Errors name the path of what is wrong, and never repeat it.
    """

    def __init__(self, body: bytes, bounds: Mapping[str, int]) -> None:
        self._body = body
        self._bounds = bounds
        self._at = 0
        self.values = 0
        """How many were begun."""
        self._work = 0
        self._open: list[dict[str, Json] | list[Json]] = []
        """The objects and lists around the value that is read, the outermost first."""
        self._names: list[str] = []
        """For each of these the name of the member that is read; of no meaning for a list."""
        self.value: Json = None

    def steps(self) -> Steps:
        """Reads the text, with a pause after each millisecond or two of work. Raises a `RequestValidationError`."""
        if self._body.startswith(_MARKS) or b"\0" in self._body[:4]:
            raise InvalidEncodingError("The body must be UTF-8 without a byte order mark.")
        if (yield from self._skip()) is None:
            raise InvalidJsonError("The body is empty; a JSON object is expected.")
        done = False
        while not done:
            done = yield from self._read_value()
            self._work += 1
            if self._work >= STEP_WORK:
                self._work = 0
                yield
        if (yield from self._skip()) is not None:
            raise self._unexpected()

    def _read_value(self) -> Generator[None, None, bool]:
        """Reads a value, or the beginning of an object or a list, and what ends behind it; whether that is the root."""
        character = yield from self._skip()
        self._count()
        if character in (_OBJECT, _LIST):
            if len(self._open) >= MAX_DEPTH:
                raise JsonTooDeepError(f"The body nests deeper than {MAX_DEPTH} levels.")
            self._open.append({} if character == _OBJECT else [])
            self._names.append("")
            self._at += 1
            if (yield from self._skip()) != (_OBJECT_END if character == _OBJECT else _LIST_END):
                if character == _OBJECT:
                    yield from self._read_name()
                return False
            self._at += 1
            value: Json = self._close()
        elif character == _QUOTE:
            value = yield from self._read_text(self._path)
        else:
            value = self._read_scalar()
        return (yield from self._put(value))

    def _put(self, value: Json) -> Generator[None, None, bool]:
        """Puts a complete value where it belongs, and closes all that ends behind it; whether the root did."""
        while self._open:
            around = self._open[-1]
            if isinstance(around, dict):
                around[self._names[-1]] = value
            else:
                around.append(value)
            character = yield from self._skip()
            if character == _COMMA:
                self._at += 1
                if isinstance(around, dict):
                    yield from self._read_name()
                return False
            if character != (_OBJECT_END if isinstance(around, dict) else _LIST_END):
                raise self._unexpected()
            self._at += 1
            value = self._close()
        self.value = value
        return True

    def _close(self) -> Json:
        self._names.pop()
        return self._open.pop()

    def _read_name(self) -> Steps:
        """The name of a member and its colon."""
        if (yield from self._skip()) != _QUOTE:
            raise self._unexpected()
        self._names[-1] = yield from self._read_text(self._path_around)
        if (yield from self._skip()) != _COLON:
            raise self._unexpected()
        self._at += 1

    def _skip(self) -> Generator[None, None, int | None]:
        """The first byte that is no white space, or None at the end of the body."""
        body, at = self._body, self._at
        while at < len(body) and body[at] in b" \t\n\r":
            end = min(at + STEP_BYTES, len(body))
            match = _SPACE.match(body, at, end)
            at = end if match is None else match.end()
            if at == end:
                yield
        self._at = at
        return body[at] if at < len(body) else None

    def _count(self) -> None:
        self.values += 1
        if self.values <= MAX_VALUES:
            return
        root = self._open[0]
        for name, most in self._bounds.items():
            items = root.get(name) if isinstance(root, dict) else None
            if len(self._open) > 1 and self._names[0] == name:
                items = self._open[1]
            if isinstance(items, list) and len(items) > most:
                raise TooManyItemsError.at(name, f"At most {most} items are allowed.")
        raise TooManyValuesError(f"The body has more than {MAX_VALUES} values.")

    def _read_scalar(self) -> bool | int | float | None:
        body, at, end = self._body, self._at, self._at + STEP_BYTES
        word = _WORD.match(body, at)
        if word is not None:
            self._at = word.end()
            if word[0] not in _WORDS:
                raise self._out_of_range()
            return _WORDS[word[0]]
        number = _NUMBER.match(body, at, end)
        if number is None:
            raise self._unexpected()
        if number.end() == end:
            raise self._out_of_range()
        whole, rest = number.groups()
        self._at = number.end()
        if rest:
            value = float(number[0])
            if math.isinf(value):
                raise self._out_of_range()
            return value
        if len(whole) - whole.startswith(b"-") > MAX_DIGITS:
            raise self._out_of_range()
        return int(whole)

    def _read_text(self, where: Callable[[], str]) -> Generator[None, None, str]:
        """A string, from its opening quote. `where` gives the path that an error names."""
        body = self._body
        at = self._at + 1
        end = body.find(b'"', at, at + FIRST_BYTES)
        if end >= 0 and body.find(b"\\", at, end) < 0:
            self._at = end + 1
            return _piece(body[at:end], where)
        pieces, size = [], FIRST_BYTES
        while True:
            piece = body[at : at + size]
            escaped = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in piece else piece
            end = escaped.find(b'"')
            complete = at + size >= len(body)
            cut = end if end >= 0 else len(piece) if complete else _cut(piece, escaped)
            pieces.append(_piece(piece[:cut], where))
            at += cut
            if end >= 0:
                self._at = at + 1
                return "".join(pieces)
            if complete:
                raise InvalidJsonError("The body is not valid JSON.")
            self._work += size >> 8
            if self._work >= STEP_WORK:
                self._work = 0
                yield
            size = min(4 * size, STEP_BYTES)

    def _path(self) -> str:
        """Where the value is that is read, as a dotted path."""
        return ".".join(
            _shown(name) if isinstance(around, dict) else str(len(around))
            for around, name in zip(self._open, self._names, strict=True)
        )

    def _path_around(self) -> str:
        """Where the object is whose member is read."""
        return self._path().rpartition(".")[0]

    def _out_of_range(self) -> RequestValidationError:
        return NumberOutOfRangeError.at(self._path(), "A number is not finite, or has too many digits.")

    def _unexpected(self) -> RequestValidationError:
        """The error for what cannot stand here."""
        return _not_utf8(self._body[self._at : self._at + 4]) or InvalidJsonError("The body is not valid JSON.")


def _cut(piece: bytes, escaped: bytes) -> int:
    """Where `piece` of a longer text can end: not within a character, an escape, or a pair of halves of surrogates.

    `escaped` is the piece with each escaped backslash and quote blotted out: what backslashes are left begin escapes.
    """
    cut = len(piece)
    last = escaped.rfind(b"\\", cut - 6)
    if last >= 0 and last + (6 if escaped[last + 1 : last + 2] == b"u" else 2) > cut:
        cut = last
    if _HIGH_HALF.match(escaped, cut - 6, cut):
        return cut - 6
    start = cut
    while start > cut - 4 and piece[start - 1] & 0xC0 == 0x80:
        start -= 1
    return start - 1 if piece[start - 1] >= 0xC0 else cut


def _piece(data: bytes, where: Callable[[], str]) -> str:
    """A text, or a piece of one, without its quotes."""
    try:
        return _decode(b'"%b"' % data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _diagnose(data, where()) from None  # `from None`: its text may quote the body


def _diagnose(data: bytes, path: str) -> RequestValidationError:
    """The error for a piece of a text that msgspec refuses."""
    foreign = _not_utf8(data)
    if foreign is not None:
        return foreign
    try:
        json.loads(b'"%b"' % data)
    except ValueError:
        return InvalidJsonError("The body is not valid JSON.")
    return InvalidEncodingError.at(path, "A text holds half of a surrogate pair.")


def _not_utf8(data: bytes) -> RequestValidationError | None:
    """The error for bytes that begin with, or hold, what is not UTF-8; their last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return InvalidEncodingError("The body is not valid UTF-8.")
    return None


def _shown(name: str) -> str:
    """A field's name as far as it may be repeated to the caller: what looks like a name, never free text."""
    return name if len(name) <= 64 and name.isascii() and name.isidentifier() else "?"
