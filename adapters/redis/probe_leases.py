"""The probe of each target in the fleet: a lease in Redis, known to the process that has it (B3)."""

from enum import IntEnum

from adapters.memory.probe_leases import MAX_TARGETS, ProbeLeases
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.script import Script
from ports.clock import Clock

STATES, SETTLING = "headgate:{breakers}:states", "headgate:{breakers}:settling"
PROBE = b"headgate:{breakers}:probe:"
ALONE_SECONDS = 5.0
"""After so long without a word from Redis a process grants its own probes; a Redis that is only slow costs nothing."""
TAKE, RELEASE = Script("breaker_probe"), Script("breaker_release")


class Grant(IntEnum):
    """What became of a request for the probe."""

    UNKNOWN = -1
    """Redis knows nothing of the breaker: tell it."""
    REFUSED = 0
    TAKEN = 1


class RedisProbeLeases:
    """The leases that this process has, or may have. They last in Redis, and are written again if Redis lost them."""

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._leases = ProbeLeases(clock)
        self._granted: dict[str, str] = {}
        self._owed: dict[tuple[str, str], None] = {}
        """Targets and holders of leases that Redis may have and nobody uses, the oldest first."""
        self._heard_at = float("-inf")

    async def take(self, target: str, generation: int, holder: str, seconds: float) -> Grant:
        """Asks for the probe of the breaker that the caller knows open in this generation (0: of none)."""
        if not self._leases.take(target, holder, seconds):
            return Grant.REFUSED
        name = encode_target(target)
        args = (name, generation, holder, round(seconds * 1000))
        try:
            reply = await self._client.evalsha(TAKE, (STATES, SETTLING, PROBE + name), args)
            grant = Grant(int(reply))  # type: ignore[arg-type]
            self._heard_at = self._clock.monotonic()
        except RedisClientError:
            alone = self._clock.monotonic() - self._heard_at >= ALONE_SECONDS
            grant = Grant.TAKEN if alone else Grant.REFUSED
            self._owe(target, holder)
        if grant is Grant.TAKEN:
            self._granted[target] = holder
            self._owed.pop((target, holder), None)
        else:
            self._leases.give_back(target, holder)
        return grant

    async def release(self, target: str, holder: str) -> None:
        """Gives it back: now, or as soon as Redis can be told."""
        self._leases.give_back(target, holder)
        if self._granted.get(target) == holder:
            del self._granted[target]
        try:
            await self._release(target, holder)
        except RedisClientError:
            self._owe(target, holder)

    async def synchronise(self) -> None:
        """Writes again what Redis may have lost, and gives back what is owed. Raises `RedisClientError`."""
        held = {target: (holder, left) for target, holder, left in self._leases.held()}
        self._granted = {target: holder for target, holder in self._granted.items() if target in held}
        for target, granted in list(self._granted.items()):
            holder, left = held[target]
            if holder == granted:
                milliseconds = max(1, round(left * 1000))
                await self._client.execute("SET", PROBE + encode_target(target), holder, "NX", "PX", milliseconds)
        for target, holder in list(self._owed):
            await self._release(target, holder)
            self._owed.pop((target, holder), None)
        self._heard_at = self._clock.monotonic()

    async def _release(self, target: str, holder: str) -> None:
        await self._client.evalsha(RELEASE, (PROBE + encode_target(target),), (holder,))

    def _owe(self, target: str, holder: str) -> None:
        if len(self._owed) >= MAX_TARGETS:
            del self._owed[next(iter(self._owed))]  # its lease runs out
        self._owed[target, holder] = None


def encode_target(target: str) -> bytes:
    """The target as Redis keeps it; callers choose a part of it."""
    return target.encode("utf-8", "surrogatepass")
