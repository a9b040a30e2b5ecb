"""The breaker board on Redis: what one replica opens, all know; what Redis forgets, the replicas tell it again."""

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from adapters.memory.probe_leases import MAX_TARGETS
from adapters.redis.breaker_entry import CLOSED_SECONDS, BreakerEntry, decode_entry
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.probe_leases import SETTLING, STATES, Grant, RedisProbeLeases, encode_target
from adapters.redis.script import Script
from domain.model import OPENED_BY_HAND, BreakerState
from domain.part import Part
from ports.breaker_board import BreakerBoard
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where
from ports.occupancy import Occupancy

VERSION = "headgate:{breakers}:version"
POLL_SECONDS = (0.3, 0.5)
"""Between two looks at what others say, at random: within half a second all know (B1)."""
SETTLING_MS = 3_000
"""After Redis lost its data nobody gets a probe until all who have one have had the time to say so."""
OBJECTION_SECONDS = 5.0
LATER_SECONDS = 0.5
FLIGHT = 64
"""Entries that are told at once."""
MERGE, READ, OBJECT = Script("breaker_merge"), Script("breaker_read"), Script("breaker_object")


class RedisBreakerBoard(BreakerBoard, Occupancy):
    """The open breakers of the fleet, as this process knows them.

    States are merged: a higher generation wins, and of one generation its closing. So it does not matter in which
    order, how often, or by whom Redis is told. Every process keeps all of it: without Redis each goes on with what it
    knows, and after a while grants its own probes (B6).

    A look with a defect costs itself. If each has one, this process would never hear of a target that others have found
    dead, or well: then it is broken.
    """

    def __init__(self, client: RedisClient, clock: Clock, defects: Defects = LOGGED_DEFECTS) -> None:
        self._defects = defects
        self._asking = Wall(defects, Where.BREAKERS)
        self._client = client
        self._clock = clock
        self._entries: dict[str, BreakerEntry] = {}
        self._open: set[str] = set()
        self._probes = RedisProbeLeases(client, clock)
        self._version = b""
        self._polling: Part | None = None
        self._vouches: Callable[[str], bool] = lambda target: False

    def ask(self, vouches: Callable[[str], bool]) -> None:
        """From now on `vouches` says whether a target does well here: then others' openings do not count (B1)."""
        self._vouches = vouches

    async def start(self) -> None:
        """Hears what the fleet knows, and goes on listening."""
        await self.synchronise()
        self._polling = Part.of_turns(self._poll, Where.BREAKERS, self._defects)

    async def aclose(self) -> None:
        """Listens no more."""
        if self._polling is not None:
            await self._polling.aclose()

    def state(self, target: str) -> BreakerState | None:
        """The state as last heard; None too while the target does well here, or an objection stands."""
        entry = self._entries.get(target)
        if entry is None or entry.closed:
            return None
        if entry.own or entry.state.reason == OPENED_BY_HAND:
            return entry.state
        if self._is_well_here(target) or self._clock.monotonic() < entry.objected_until:
            return None
        return entry.state

    def _is_well_here(self, target: str) -> bool:
        """No, where those who are asked cannot tell: what others say counts then."""
        with self._asking:
            return self._vouches(target)
        return False

    def open_targets(self) -> Collection[str]:
        """Those that are open here."""
        return [target for target in self._open if self.state(target) is not None]

    async def publish(self, target: str, state: BreakerState | None) -> None:
        """Opens or closes, here at once; Redis is told now, or as soon as it can be."""
        known = self._entries.get(target)
        if state is None:
            if known is None or known.closed:
                return
            forgotten_at = self._clock.monotonic() + CLOSED_SECONDS
            entry = BreakerEntry(replace(known.state, open_until=forgotten_at), closed=True, own=True)
        else:
            generation = state.generation if known is None else max(state.generation, known.state.generation + 1)
            entry = BreakerEntry(replace(state, generation=generation), closed=False, own=True, new=True)
            entry.opened_at = self._clock.monotonic()
        entry.unheard = True
        self._keep(target, entry)
        await self._tell(target)

    async def acquire_probe(self, target: str, holder: str, seconds: float) -> bool:
        """Takes the probe of the fleet; five seconds after Redis went, that of this process."""
        entry = self._entries.get(target)
        generation = entry.state.generation if entry is not None and not entry.closed else 0
        grant = await self._probes.take(target, generation, holder, seconds)
        if entry is not None and grant is Grant.UNKNOWN:
            self._lost(entry)
            await self._tell(target)
        return grant is Grant.TAKEN

    async def release_probe(self, target: str, holder: str) -> None:
        """Gives it back, if it is still this holder's."""
        await self._probes.release(target, holder)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full it is."""
        return {"headgate_open_breakers": self._open.__len__}

    async def _poll(self) -> None:
        await self._clock.sleep(random.uniform(*POLL_SECONDS))  # noqa: S311 - jitter
        await self.synchronise()

    async def synchronise(self) -> None:
        """Tells Redis what it does not know, and hears what others have told it."""
        try:
            await self._probes.synchronise()
            await self._hear_all()
        except RedisClientError:
            return
        await _in_flights(self._tell, [target for target, entry in self._entries.items() if entry.unheard])
        await _in_flights(self._object, [target for target in self._open if self._disputed(target)])

    async def _hear_all(self) -> None:
        """Raises `RedisClientError`."""
        reply: Any = await self._client.evalsha(READ, (STATES, VERSION), (self._version,), read=True)
        if not isinstance(reply, list):
            return
        version, redis_ms, rows = reply
        heard = dict(zip(rows[::2], rows[1::2], strict=True))
        for name, line in heard.items():
            self._hear(name.decode("utf-8", "surrogatepass"), line, redis_ms)
        now = self._clock.monotonic()
        for target, entry in list(self._entries.items()):
            if entry.closed and entry.state.open_until <= now:
                self._forget(target)
            elif not entry.unheard and encode_target(target) not in heard:
                self._lost(entry)
        self._version = version

    def _hear(self, target: str, line: bytes, redis_ms: int) -> None:
        """Merges what Redis has."""
        heard = decode_entry(line, redis_ms, self._clock.monotonic())
        if heard is None:
            return
        known = self._entries.get(target)
        if known is None or heard.rank > known.rank:
            heard.own = known is not None and known.own and known.new and not heard.closed
            self._keep(target, heard)
        elif heard.rank == known.rank:
            known.unheard = known.new = known.restored = False
            known.objected_until = heard.objected_until
            if heard.state.open_until > known.state.open_until + LATER_SECONDS:
                known.state = heard.state  # it opened in two places at once, and the other was told to wait longer
        elif not known.new:
            known.unheard = True
        elif heard.closed and heard.state.open_until - CLOSED_SECONDS > known.opened_at + LATER_SECONDS:
            # Without Redis it was found dead here, and then well elsewhere. No generation is used again.
            state = replace(heard.state, generation=known.state.generation)
            self._keep(target, BreakerEntry(state, closed=True, own=True, unheard=True))

    async def _tell(self, target: str) -> None:
        entry = self._entries.get(target)
        if entry is None:
            return  # forgotten for newer ones
        left = round((entry.state.open_until - self._clock.monotonic()) * 1000)
        args = (
            *(encode_target(target), entry.state.generation, int(entry.closed), max(0, left), entry.rest),
            *(int(entry.new), int(entry.restored), MAX_TARGETS, SETTLING_MS),
        )
        try:
            reply: Any = await self._client.evalsha(MERGE, (STATES, VERSION, SETTLING), args)
        except RedisClientError:
            return
        if isinstance(reply, list):
            self._hear(target, *reply)
        else:
            entry.unheard = False  # there is no room for it: it holds here alone

    def _disputed(self, target: str) -> bool:
        """Whether another has opened what does well here, and that is not known, or soon will not be."""
        entry = self._entries[target]
        if entry.own or entry.state.reason == OPENED_BY_HAND:
            return False
        soon = self._clock.monotonic() + OBJECTION_SECONDS / 2
        return entry.objected_until < soon and self._is_well_here(target)

    async def _object(self, target: str) -> None:
        entry = self._entries.get(target)
        if entry is None:
            return
        args = (encode_target(target), entry.state.generation, round(OBJECTION_SECONDS * 1000))
        try:
            await self._client.evalsha(OBJECT, (STATES, VERSION), args)
        except RedisClientError:
            return

    @staticmethod
    def _lost(entry: BreakerEntry) -> None:
        entry.unheard = entry.restored = True

    def _keep(self, target: str, entry: BreakerEntry) -> None:
        self._forget(target)
        if len(self._entries) >= MAX_TARGETS:
            self._forget(next(iter(self._entries)))
        self._entries[target] = entry
        if not entry.closed:
            self._open.add(target)

    def _forget(self, target: str) -> None:
        self._entries.pop(target, None)
        self._open.discard(target)


async def _in_flights(work: Callable[[str], Coroutine[Any, Any, None]], targets: list[str]) -> None:
    for first in range(0, len(targets), FLIGHT):
        await asyncio.gather(*map(work, targets[first : first + FLIGHT]))
