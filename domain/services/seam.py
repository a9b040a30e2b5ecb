"""The seam of a rescued answer: what the continuation repeats of what was sent is dropped (R6)."""

from collections.abc import Sequence

from domain.delta import Delta

WINDOW = 512
"""Characters at the end of what was sent in which a repetition is looked for."""
EVIDENCE = 24
"""So many first characters of the answer again, and then others: that is a second answer, not the rest of the first."""
LEAST_EXACT = 16
"""A shorter repetition is the text's own where the model goes on from its own words."""
LEAST_RESTART = 4
"""So many first characters again, and they are all that was sent: a model that ignores its own words began anew."""
LEAST_WORD = 4
"""A shorter last word may well begin the next one."""
LEAST_UNSPACED, UNSPACED = 3, "\u0e00"
"""A repetition counts from the beginning of a word; where scripts do without spaces, roughly from Thai on, if it is at
least as long as this."""


class UnjoinableError(Exception):
    """The continuation does not fit what was sent."""


class Seam:
    """Joins a continuation to `sent`, the text that is in the stream already.

    `exact`: the model was given `sent` as the beginning of its own answer; otherwise it was asked to go on, and models
    like to begin again with the last words. Deltas are held back only until it is clear what is repeated: the whole of
    `sent`, the longest piece that is both its end and their beginning, or nothing. Where a text repeats itself, that
    is a guess. Roles are dropped, and so are thoughts unless they are wanted.
    """

    def __init__(self, sent: str, *, exact: bool, thoughts: bool) -> None:
        paired = _paired(sent)
        self._half = paired[-1:] if is_half(paired) else ""
        self._sent = paired[:-1] if self._half else paired
        self._body = self._sent.lstrip()
        self._exact = exact
        self._thoughts = thoughts
        self._held: list[Delta] = []
        self._again = 0
        """So many first characters of the answer came again, and nothing else but white space before them."""
        self._restarts = True
        self._loose = ""
        """Half of a character that ended the last delta: with its other half it is one, and is compared as one."""
        self._joined = not sent

    def join(self, batch: Sequence[Delta]) -> list[Delta]:
        """What of the batch, and of what was held back before it, goes into the stream. Raises `UnjoinableError`."""
        joined: list[Delta] = []
        for given in batch:
            delta = self._bare(given)
            if delta is None:
                continue
            if self._joined:
                joined.append(delta)
            else:
                joined += self._hold(delta)
        return joined

    def _bare(self, delta: Delta) -> Delta | None:
        """The delta without its role, unwanted thoughts and their signatures; without the provider's bytes, if they
        hold one of them."""
        reasoning, extra = (delta.reasoning, delta.extra) if self._thoughts else ("", b"")
        if delta.shape.beyond:  # only the provider's own JSON, or `extra`, says what it adds
            return delta
        if delta.role is None and (reasoning, extra) == (delta.reasoning, delta.extra):
            return delta
        if not (delta.text or reasoning or extra or delta.tool_calls or delta.finish_reason or delta.usage):
            return None
        return delta.but(role=None, reasoning=reasoning, extra=extra)

    def _hold(self, delta: Delta) -> list[Delta]:
        over = delta.finish_reason is not None or bool(delta.tool_calls)
        text = _paired(self._loose + delta.text)
        self._loose = text[-1:] if is_half(text) and not over else ""
        text = text.removesuffix(self._loose)
        self._held.append(delta if text == delta.text else delta.but(text=text))
        piece = text if self._again else text.lstrip()
        self._restarts = self._restarts and piece.startswith(self._body[self._again : self._again + len(piece)])
        self._again += len(piece)
        if not over and self._restarts and self._again < len(self._body):
            return []
        head = "".join(held.text for held in self._held)
        if not over and self._may_repeat(head):
            return []
        repeated = self._repeated(head)
        if not over and repeated == len(head):
            return []  # nothing of it is to be sent, and the next character may tell better
        self._joined = True
        held, self._held = self._held, []
        if self._loose:
            held[-1] = held[-1].but(text=text + self._loose)
        return self._cut(held, head + self._loose, repeated)

    def _may_repeat(self, head: str) -> bool:
        """Whether more characters could make a longer repetition of it."""
        tail = self._sent[-WINDOW:]
        places = [(tail.find(begun), len(begun)) for begun in (head, head.lstrip())[: 1 if self._exact else 2]]
        return any(0 <= place < len(tail) - length for place, length in places)

    def _repeated(self, head: str) -> int:
        """How many characters at the beginning of the continuation were sent before. White space in front of them does
        not matter: models that think first like to begin with some."""
        sent, body = self._sent, self._body
        lead = len(head) - len(head.lstrip())
        if head.startswith(sent) and (len(sent) >= LEAST_EXACT or (self._exact and _is_beginning(sent))):
            return len(sent)
        if len(body) >= LEAST_EXACT and head.startswith(body, lead):
            return lead + len(body)
        if size := self._overlap(head):
            return size
        if lead and not self._exact and (size := self._overlap(head[lead:])) >= LEAST_EXACT:
            return lead + size
        if len(body) > EVIDENCE and head.startswith(body[:EVIDENCE], lead):
            raise UnjoinableError("the continuation is another answer")
        return 0

    def _overlap(self, head: str) -> int:
        """The longest piece that is both the end of what was sent and the beginning of the continuation."""
        tail = self._sent[-WINDOW:]
        sizes = range(min(len(tail), len(head)), 0, -1)
        fits = (size for size in sizes if tail.endswith(head[:size]) and self._counts(size))
        return next((size for size in fits if not _begins_another_word(head, size)), 0)

    def _counts(self, size: int) -> bool:
        """Whether a repetition of this size is one of the model's, and not one of the text."""
        repeated = self._sent[-size:]
        if self._exact:  # the white space at the end is all that it was not given
            return size >= LEAST_EXACT or repeated.isspace()
        if not any(character.isalnum() for character in repeated):
            return False
        within = repeated[0].isalnum() and self._sent[-size - 1 : -size].isalnum()
        return not within or (size >= LEAST_UNSPACED and repeated[0] >= UNSPACED)

    def _cut(self, held: list[Delta], head: str, repeated: int) -> list[Delta]:
        """The held deltas without the first characters; with the other half of a pair that was cut in two."""
        rest = head[repeated:]
        if self._half:
            rest = _other_half(self._half, rest)
        if len(rest) == len(head) and rest == head:
            return held
        spare = len(rest)
        kept: list[Delta] = []
        for delta in reversed(held):  # from behind: what is dropped is at the beginning
            text = rest[max(0, spare - len(delta.text)) : spare] if spare else ""
            spare -= len(text)
            if text == delta.text:
                kept.append(delta)
            elif text or delta.finish_reason or delta.tool_calls or delta.usage or delta.reasoning:
                kept.append(delta.but(text=text))
        return kept[::-1]


def _begins_another_word(head: str, size: int) -> bool:
    """Whether so many characters are a space and a short word that goes on: `an` and ` answer`, not the same word."""
    word = head[:size].lstrip()
    return len(word) < min(size, LEAST_WORD) and word.isalnum() and head[size : size + 1].isalnum()


def _paired(text: str) -> str:
    """The same with the halves of each pair joined."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def is_half(text: str) -> bool:
    """Whether it ends in the first half of a surrogate pair."""
    return "\ud800" <= text[-1:] <= "\udbff"


def _is_beginning(text: str) -> bool:
    """Whether a short text, said twice, is an answer that began again, and not laughter, which repeats itself."""
    itself = (text + text).find(text, 1) < len(text)
    return len(text) >= LEAST_RESTART and not itself and any(character.isalpha() for character in text)


def _other_half(half: str, rest: str) -> str:
    """The continuation from the second half of its first character on."""
    units = rest[:1].encode("utf-16-le", "surrogatepass")
    if len(units) == 4 and units[:2].decode("utf-16-le", "surrogatepass") == half:
        return units[2:].decode("utf-16-le", "surrogatepass") + rest[1:]
    if "\udc00" <= rest[:1] <= "\udfff":
        return rest
    raise UnjoinableError("half of a character is missing")
