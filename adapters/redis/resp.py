"""What goes into a command and what comes back, as RESP2, Redis's protocol, carries them."""

from collections.abc import Callable
from typing import TypeAlias, Union, cast

from hiredis import pack_command

Argument: TypeAlias = str | bytes | int | float
Reply: TypeAlias = Union[bytes, int, "list[Reply]", None]
"""Texts and statuses are bytes. An error within a list is an exception in its place."""

pack = cast("Callable[[tuple[Argument, ...]], bytes]", pack_command)
"""A command as bytes; hiredis's own type says a tuple of one."""


def server_facts(reply: Reply) -> dict[Reply, Reply]:
    """What a server says of itself in its reply to `HELLO` (`mode`, `role`, `version`), without its list of modules."""
    facts = reply if isinstance(reply, list) else []
    return {name: fact for name, fact in zip(facts[::2], facts[1::2], strict=False) if isinstance(name, bytes)}
