"""Keys that are made and revoked while the service runs: the stored ones are read again and again."""

from collections.abc import Callable, Mapping

from domain.errors import ConfigurationError, Scalar
from domain.part import take_turns
from domain.services.callers import Callers
from domain.tiers import DEFAULT_TIER
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where
from ports.keys import ApiKey, ApiKeys

REFRESH_SECONDS = 0.5
"""A change is known everywhere within two seconds, also if a read or two fail."""

Warn = Callable[[str, Mapping[str, Scalar]], None]
"""Told once of each thing that is wrong: a sentence, and what it is about."""


class KeyRefresh:
    """Gives `callers` the stored keys, so that no request waits for a store. Those last known outlive an outage.

    A read with a defect costs itself; if each has one, a key that was revoked would stay valid for ever: then the
    refresh ends, and with it the process.
    """

    def __init__(
        self, clock: Clock, keys: ApiKeys, callers: Callers, warn: Warn, defects: Defects = LOGGED_DEFECTS
    ) -> None:
        self._defects = defects
        self._warning = Wall(defects, Where.KEY_REFRESH)
        self._clock = clock
        self._keys = keys
        self._callers = callers
        self._warn = warn
        self._last: tuple[ApiKey, ...] | None = None
        self._readable = True
        self._warned: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Reads until it is cancelled. Whoever starts it, owns it."""
        await take_turns(self._turn, Where.KEY_REFRESH, self._defects)

    async def _turn(self) -> None:
        await self._clock.sleep(REFRESH_SECONDS)
        await self.refresh()

    async def refresh(self) -> None:
        """Reads once. A store that cannot be read is told of, not raised."""
        try:
            stored = await self._keys.list()
        except ConfigurationError as error:
            if self._readable:
                self._tell("The API keys cannot be read; those last known stay valid", {"reason": error.message})
            self._readable = False
            return
        self._readable = True
        if stored == self._last:
            return
        self._last = stored
        fallen = {(key.name, key.tier) for key in self._callers.replace(stored)}
        for name, tier in sorted(fallen - self._warned):
            fields = {"key": name, "tier": tier, "instead": DEFAULT_TIER}
            self._tell("The tier of an API key does not exist; the default tier counts", fields)
        self._warned = fallen

    def _tell(self, sentence: str, fields: Mapping[str, Scalar]) -> None:
        with self._warning:
            self._warn(sentence, fields)
