"""What goes into a command and what comes back, as RESP2, Redis's protocol, carries them."""

from collections.abc import Callable
from typing import TypeAlias, Union, cast

from hiredis import pack_command

Argument: TypeAlias = str | bytes | int | float
Reply: TypeAlias = Union[bytes, int, "list[Reply]", None]
"""Texts and statuses are bytes. An error within a list is an exception in its place."""

pack = cast("Callable[[tuple[Argument, ...]], bytes]", pack_command)
"""A command as bytes; hiredis's own type says a tuple of one."""
