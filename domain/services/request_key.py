"""The key under which equal requests meet: a digest of all that can change the answer (K2)."""

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeAlias

from domain.model import CompletionRequest

# What cannot change the answer. Everything else is part of the key, unknown parameters included (K2).
IGNORED = frozenset({"user", "metadata", "stream", "stream_options", "store", "safety_identifier", "prompt_cache_key"})
PIECE = 128 << 10
"""Characters of a text that are written at once, and of all that is hashed at once, in about."""
VALUE = 32
"""So many characters a value counts as, beside its text: more than any number has that is often seen."""
WHOLE = 2**53
"""Up to here each integer is a float, and `1` and `1.0` mean the same."""

Item: TypeAlias = str | int | float | tuple[str, int] | None


class _Sequence:
    """Values one after the other, so that they can be hashed a few at a time: before those of an object or a list, and
    before the pieces of a long text, stands how many there are, which no value looks like."""

    def __init__(self) -> None:
        self.batches: list[list[Item]] = [[]]
        self._size = 0

    def add(self, value: object) -> None:
        """Adds a JSON value: whole floats as integers, as JSON itself sees them, and fields ordered by name."""
        if isinstance(value, str):
            self._add_text(value)
        elif isinstance(value, float):
            self._put(int(value) if value.is_integer() and -WHOLE < value < WHOLE else value, 0)
        elif isinstance(value, int) or value is None:
            self._put(value, 0 if value is None else value.bit_length() >> 1)
        elif isinstance(value, dict):
            self._put(("object", len(value)), 0)
            for name in sorted(value):
                self._add_text(name)
                self.add(value[name])
        elif isinstance(value, list | tuple):
            self.add_all(value)
        else:
            raise TypeError(f"not JSON: {type(value).__name__}")

    def add_all(self, values: Sequence[object]) -> None:
        """Adds a list of JSON values."""
        self._put(("list", len(values)), 0)
        for value in values:
            self.add(value)

    def _add_text(self, text: str) -> None:
        if len(text) <= PIECE:
            self._put(text, len(text))
            return
        starts = range(0, len(text), PIECE)
        self._put(("text", len(starts)), 0)
        for start in starts:
            self._put(text[start : start + PIECE], PIECE)

    def _put(self, item: Item, characters: int) -> None:
        if self._size > PIECE:
            self.batches.append([])
            self._size = 0
        self.batches[-1].append(item)
        self._size += characters + VALUE


async def request_key(tenant: str, request: CompletionRequest) -> str:
    """The key. Of a large request it is made in steps, and others have their turn in between (G6)."""
    options = {name: value for name, value in request.options.items() if name not in IGNORED}
    sequence = _Sequence()
    sequence.add_all((tenant, request.model, request.messages, options))
    digest = blake2b(digest_size=20)
    # Python's own notation tells apart what JSON does, lone surrogates too, and needs no encoder to be set up.
    first, *more = sequence.batches
    digest.update(ascii(first).encode("ascii"))
    for batch in more:
        await asyncio.sleep(0)
        digest.update(ascii(batch).encode("ascii"))
    return digest.hexdigest()
