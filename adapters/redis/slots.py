"""The slots on Redis: leases, so that those of a dead process come back."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from adapters.memory.slots import MemorySlots
from adapters.redis.admission_keys import HOLDERS, LINES, MESSAGES, OWNERS, PROCESS_MS, RING, TENANT, WORKERS
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.script import Script
from adapters.redis.stream_mirror import PROCESS
from domain.model import Caller
from domain.part import Part
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Where
from ports.occupancy import Occupancy
from ports.slots import Slots

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0
TICK_SECONDS = 0.5
"""Between two looks at what has to be renewed or given back."""
DECISION_SECONDS = 0.04
"""A request waits for a slot no longer than that, then this process decides alone."""
FLIGHT = 256
MAX_RETURNS = 10_000
"""What is not told to Redis is over with its lease."""

BACK, POKE = (HOLDERS, RING, MESSAGES, OWNERS, WORKERS), (LINES, PROCESS, PROCESS_MS)
UNTOLD = 2
"""Somebody waits, but there is nobody to be told."""
ACQUIRE, RENEW, RELEASE = Script("slots_acquire"), Script("slots_renew"), Script("slots_release")


class RedisSlots(Slots, Occupancy):
    """`total` slots in the fleet; of them, a tenant may have as many as `per_caller` says for the caller that asks.

    All that this process holds is counted in memory too. What does not fit there fits nowhere, and is refused without
    Redis. While Redis does not serve, that count alone decides; when it is back, all that runs is counted in it again.
    Between `start` and `aclose` leases are renewed. A renewal with a defect costs itself; if each has one, the slots of
    all that runs here would be given to others: then the process is broken.
    """

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        total: int,
        per_caller: Callable[[Caller], int],
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._client = client
        self._clock = clock
        self._total = total
        self._per_caller = per_caller
        self._own = MemorySlots(total, per_caller)
        self._tenants: dict[str, str] = {}  # by holder, of those in `_own` that are granted
        self._returns: dict[str, str] = {}  # slots that Redis has yet to be told of: tenants by holder
        self._renew_at = 0.0
        self._keeper: Part | None = None

    def start(self) -> None:
        """Begins to renew the leases."""
        self._renew_at = self._clock.monotonic() + RENEW_SECONDS
        self._keeper = Part.of_turns(self._keep, Where.SLOTS, self._defects)

    async def aclose(self) -> None:
        """Renews no more: what is still held comes back within a lease."""
        if self._keeper is not None:
            await self._keeper.aclose()

    async def acquire(self, caller: Caller, holder: str) -> bool:
        """Takes a slot in one round trip; one that `holder` already has here is still its only one."""
        if holder in self._tenants:
            return True
        if not await self._own.acquire(caller, holder):
            return False
        self._returns.pop(holder, None)
        keys = (HOLDERS, TENANT + caller.tenant, RING, MESSAGES)
        args = (holder, _ms(LEASE_SECONDS), self._total, self._per_caller(caller), LINES, TENANT)
        try:
            taken = await self._client.evalsha(ACQUIRE, keys, args, timeout=DECISION_SECONDS)
        except RedisClientError:
            taken = 1
            self._renew_at = 0.0  # it is counted as soon as Redis is back
        except asyncio.CancelledError:
            await self._own.release(holder)
            self._give_back_later(holder, caller.tenant)
            raise
        if taken != 1:
            await self._own.release(holder)
            return False
        self._tenants[holder] = caller.tenant  # not before: a renewal would count what Redis refuses
        return True

    def room(self) -> bool:
        """By this process's own count."""
        return self._own.room()

    async def release(self, holder: str) -> bool:
        """Gives the slot back; if Redis cannot be told now, it is soon, or the lease ends.

        Who waits elsewhere hears of it. True if somebody waits whom only this process can serve.
        """
        tenant = self._tenants.pop(holder, None)
        if tenant is None:
            return False
        await self._own.release(holder)
        try:
            return await self._client.evalsha(RELEASE, (*BACK, TENANT + tenant), (*POKE, holder)) == UNTOLD
        except (RedisClientError, asyncio.CancelledError) as error:
            self._give_back_later(holder, tenant)
            if isinstance(error, asyncio.CancelledError):
                raise
            return False

    def _give_back_later(self, holder: str, tenant: str) -> None:
        if len(self._returns) < MAX_RETURNS:
            self._returns[holder] = tenant

    async def _keep(self) -> None:
        await self._clock.sleep(TICK_SECONDS)
        await self.synchronise()

    async def synchronise(self) -> None:
        """Tells Redis what it has not heard: slots given back, and, when it is time, that the others are held."""
        try:
            if self._returns:
                await self._give_back()
            now = self._clock.monotonic()
            if now >= self._renew_at:
                await self._renew()
                self._renew_at = now + RENEW_SECONDS
        except RedisClientError:
            return

    async def _give_back(self) -> None:
        returned = list(islice(self._returns.items(), FLIGHT))
        # One that was taken again meanwhile is not given back.
        free = [(holder, tenant) for holder, tenant in returned if holder not in self._tenants]
        await self._client.evalsha(RELEASE, (*BACK, *_tenant_keys(free)), [*POKE, *(holder for holder, _ in free)])
        for holder, _ in returned:
            self._returns.pop(holder, None)

    async def _renew(self) -> None:
        held = list(self._tenants.items())
        for first in range(0, len(held), FLIGHT):
            # Those that went while others were renewed are left out.
            flight = [one for one in held[first : first + FLIGHT] if one[0] in self._tenants]
            args = [str(_ms(LEASE_SECONDS)), *(holder for holder, _ in flight)]
            await self._client.evalsha(RENEW, (HOLDERS, *_tenant_keys(flight)), args)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How many of the fleet's slots this process holds."""
        return self._own.occupancy()


def _tenant_keys(holders: Iterable[tuple[str, str]]) -> list[str]:
    return [TENANT + tenant for _, tenant in holders]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
