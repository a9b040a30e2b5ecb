"""The slots on Redis: leases, so that those of a process that dies come back (L6, Q8)."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from adapters.memory.slots import MemorySlots
from adapters.redis.admission_keys import LINES, MESSAGES, PROCESS_MS, RING, SLOTS, TENANT_SLOTS
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.script import Script
from adapters.redis.stream_mirror import PROCESS
from domain.model import Caller
from ports.clock import Clock
from ports.occupancy import Occupancy
from ports.slots import Slots

LEASE_MS = 15_000
RENEW_SECONDS = 5.0
KNOWN_SECONDS = 0.2
"""How long what Redis has refused is taken for true."""
ACQUIRE_SECONDS = 0.05
PAGE = 1_000
TAKEN, NONE_FREE = 1, -1

ACQUIRE, RENEW, RELEASE = Script("slots_acquire"), Script("slots_renew"), Script("slots_release")


class RedisSlots(Slots, Occupancy):
    """`total` slots in the fleet; a tenant may have as many of them as `per_caller` says.

    Without Redis this process keeps to both bounds by itself. `run` must run beside it. Never raises.
    """

    def __init__(self, client: RedisClient, clock: Clock, total: int, per_caller: Callable[[Caller], int]) -> None:
        self._client = client
        self._clock = clock
        self._total = total
        self._per_caller = per_caller
        self._own = MemorySlots(total, per_caller)
        self._tenants: dict[str, str] = {}  # by holder: what this process has, wherever it was taken
        self._full_until = 0.0
        self._tenants_full: dict[str, float] = {}

    async def acquire(self, caller: Caller, holder: str) -> bool:
        """Takes a slot in one step. One that the queue has taken for `holder` already is its own."""
        if not await self._own.acquire(caller, holder):
            return False  # what is not free here is not free in the fleet
        keys = (SLOTS, TENANT_SLOTS + caller.tenant, RING)
        args = (holder, self._total, self._per_caller(caller), LEASE_MS)
        try:
            verdict = await self._client.evalsha(ACQUIRE, keys, args, timeout=ACQUIRE_SECONDS)
        except RedisClientError:
            verdict = TAKEN
        if verdict == TAKEN:
            self._tenants[holder] = caller.tenant
            return True
        await self._own.release(holder)
        known = self._clock.monotonic() + KNOWN_SECONDS
        if verdict == NONE_FREE:
            self._full_until = known
        elif verdict:
            self._tenants_full[caller.tenant] = known
        return False

    def room(self) -> bool:
        """False for a moment after Redis had none, and while this process has them all."""
        return self._own.room() and self._clock.monotonic() >= self._full_until

    def free(self, caller: Caller) -> bool:
        """As `room`, for one tenant."""
        full = self._tenants_full.get(caller.tenant)
        if full is not None and self._clock.monotonic() >= full:
            del self._tenants_full[caller.tenant]
            full = None
        return full is None and self.room() and self._own.free(caller)

    async def release(self, holder: str) -> None:
        """Gives it back, also where the queue took it and nobody came for it."""
        await self._own.release(holder)
        tenant = self._tenants.pop(holder, None)
        if tenant is None:
            return
        self._full_until = 0.0
        self._tenants_full.pop(tenant, None)
        keys = (SLOTS, TENANT_SLOTS + tenant, RING, MESSAGES)
        try:
            await self._client.evalsha(RELEASE, keys, (holder, LINES, PROCESS, PROCESS_MS))
        except RedisClientError:
            return  # its lease ends by itself

    async def run(self) -> None:
        """Renews the leases until it is cancelled."""
        while True:
            await self._clock.sleep(RENEW_SECONDS)
            for page in _pages(list(self._tenants.items())):
                names = [name for row in page if row[0] in self._tenants for name in row]
                try:
                    await self._client.evalsha(RENEW, (SLOTS,), (LEASE_MS, TENANT_SLOTS, *names))
                except RedisClientError:
                    break

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How many this process has."""
        return {"headgate_slots_in_use": self._tenants.__len__}


def _pages(rows: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    rest = iter(rows)
    while page := list(islice(rest, PAGE)):
        yield page
