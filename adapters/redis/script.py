"""Lua scripts that Redis runs atomically, kept in files beside this one."""

from functools import cached_property
from hashlib import sha1
from importlib.resources import files


class Script:
    """One script by its name; its text is read from `scripts/{name}.lua` when it is first used."""

    def __init__(self, name: str, text: str | None = None) -> None:
        self.name = name
        self.operation = name.upper()
        self._text = text

    @cached_property
    def text(self) -> bytes:
        """The Lua source."""
        if self._text is not None:
            return self._text.encode()
        return files("adapters.redis").joinpath("scripts", f"{self.name}.lua").read_bytes()

    @cached_property
    def sha(self) -> str:
        """What Redis calls it: computed here, so that nothing has to be asked of Redis first."""
        return sha1(self.text, usedforsecurity=False).hexdigest()
