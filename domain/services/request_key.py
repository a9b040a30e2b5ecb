"""The key under which equal requests meet: a digest of all that can change the answer (K2)."""

import asyncio
from collections.abc import Mapping
from hashlib import blake2b
from typing import TypeAlias

from domain.model import CompletionRequest

# What cannot change the answer. Everything else is part of the key, unknown parameters included (K2).
IGNORED = frozenset({"user", "metadata", "stream", "stream_options", "store", "safety_identifier", "prompt_cache_key"})
AT_ONCE_BYTES = 256 << 10
"""A request that came in no more is hashed in one go."""
PIECE = 64 << 10
"""Characters of a text that are written and hashed at once."""
STEP = 1_000
"""Values, and pieces of texts, that are written and hashed at once, in texts of at most PIECE together."""
WHOLE = 2**53
"""Up to here each integer is a float, and `1` and `1.0` mean the same."""

Item: TypeAlias = str | int | float | tuple[str, int] | None


async def request_key(tenant: str, request: CompletionRequest) -> str:
    """The key. That of a large request is made in steps, and others have their turn in between (G6)."""
    options = {name: value for name, value in request.options.items() if name not in IGNORED}
    items: list[Item] = []
    _flatten((tenant, request.model, request.messages, options), items)
    digest = blake2b(digest_size=20)
    if request.size <= AT_ONCE_BYTES:
        digest.update(_written(items))
        return digest.hexdigest()
    begin = characters = 0
    for end, item in enumerate(items):
        if end - begin >= STEP or characters > PIECE:
            digest.update(_written(items[begin:end]))
            begin, characters = end, 0
            await asyncio.sleep(0)
        characters += len(item) if type(item) is str else 0
    digest.update(_written(items[begin:]))
    return digest.hexdigest()


def _written(items: list[Item]) -> bytes:
    """The items one after the other: the same bytes wherever a sequence is cut. Python's own notation tells apart what
    JSON does, lone surrogates too, and needs no encoder to be set up."""
    return ascii(items)[1:-1].encode("ascii") + b", "


def _flatten(value: object, items: list[Item]) -> None:
    """Adds a JSON value to `items`: whole floats as integers, as JSON itself sees them, and fields ordered by name.

    Before those of an object or a list, and before the pieces of a long text, stands how many there are, which no value
    looks like.
    """
    if type(value) is str:  # a long one: the short ones are added where they stand
        pieces = [value[start : start + PIECE] for start in range(0, len(value), PIECE)]
        items += [("text", len(pieces)), *pieces]
    elif type(value) is float:
        items += (int(value) if value.is_integer() and -WHOLE < value < WHOLE else value,)
    elif type(value) is int or type(value) is bool or value is None:
        items += (value,)
    elif isinstance(value, list | tuple):
        items += (("list", len(value)),)
        for item in value:
            if type(item) is str and len(item) <= PIECE:  # what most are: without a call
                items += (item,)
            else:
                _flatten(item, items)
    elif isinstance(value, Mapping):
        items += (("object", len(value)),)
        for name in sorted(value):
            for item in (name, value[name]):
                if type(item) is str and len(item) <= PIECE:
                    items += (item,)
                else:
                    _flatten(item, items)
    else:
        raise TypeError(f"not JSON: {type(value).__name__}")
