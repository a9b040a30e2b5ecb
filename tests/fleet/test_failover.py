"""Redis fails over to a replica that has not heard of the last writes: what was acknowledged is lost (fault 15)."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

from adapters.redis.admission_keys import HOLDERS
from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.outage import until_redis_serves
from tests.fleet.readers import StreamReader
from tests.fleet.worker import count, recorded
from tests.redis_proxy import Proxy, proxy_to
from tests.redis_server import RedisServer

SLOTS, CLIENTS, TOKENS = 2, 10, 30
LEASE, LOOK = 15.0, 5.0
ENVIRON = {"STREAM_MAX_CONCURRENT": str(SLOTS), "CACHE_ENABLED": "false", "LOG_LEVEL": "info"}
KEYS = ("messages", "ring", "taken", "due", "deficits")
GAUGES = ("headgate_open_generations", "headgate_slots_in_use", "headgate_queue_depth")
TOLD = (b"producer_lost", b"not_resumable")
"""How an answer may end of which a part was lost."""


@dataclass
class Pair:
    """A fleet that comes to its Redis by way of `way`; what the primary has is told to the replica on `link`."""

    fleet: Fleet
    replica: RedisServer
    way: Proxy
    link: Proxy

    async def fail_over(self) -> None:
        """The replica is the primary from now on, with what it has."""
        await self.replica.command("REPLICAOF", "NO", "ONE")
        self.way.lead_to(self.replica.port)
        self.fleet.redis.kill()
        self.way.reset()
        self.fleet.redis = self.replica
        await until_redis_serves(self.fleet, 5.0)


@contextlib.asynccontextmanager
async def replicated() -> AsyncIterator[Pair]:
    with RedisServer("--repl-diskless-sync-delay", "0") as primary, RedisServer() as replica:
        async with proxy_to(primary.port) as way, proxy_to(primary.port) as link:
            await replica.command("REPLICAOF", "127.0.0.1", link.port)

            async def follows() -> bool:
                return (await replica.info("replication"))["master_link_status"] == "up"

            await eventually(follows, 10.0)
            running = running_fleet(primary, count=2, redis_url=way.url, environ=ENVIRON)
            fleet = await asyncio.to_thread(running.__enter__)
            try:
                yield Pair(fleet, replica, way, link)
            finally:
                await asyncio.to_thread(running.__exit__, None, None, None)


async def test_a_failover_that_loses_acknowledged_writes_loses_no_request_and_counts_none_twice_q3_q9(
    rng: random.Random,
) -> None:
    """Fault 15, L6, Q3, Q9: who waited waits again, each answer is whole or ends with an error, no count is off.

    Lost are, by chance: places in the line that were taken or left, slots that were taken or given back, streams.
    """
    async with replicated() as pair:
        fleet = pair.fleet
        readers: list[StreamReader] = []
        reading: list[asyncio.Task[None]] = []

        async def client(number: int) -> None:
            reader = StreamReader()
            readers.append(reader)
            async with fleet.start(number, f"failover {rng.random()} {number}", max_tokens=TOKENS) as answer:
                assert answer.status == 200
                await reader.take(answer)

        for number in range(CLIENTS):
            reading.append(asyncio.create_task(client(number)))
            if number == CLIENTS // 2:
                await asyncio.sleep(rng.uniform(0.1, 0.5))
                pair.link.silent = True
        await asyncio.sleep(rng.uniform(0.1, 2.0))
        await pair.fail_over()
        async with asyncio.timeout(60):
            await asyncio.gather(*reading)
        for reader in readers:
            reader.check()
            if b"event: complete" in reader.terminal:
                text = b"".join(reader.events)
                assert [text.count(b' tok%d"' % token) for token in range(1, TOKENS + 1)] == [1] * TOKENS
            else:
                assert any(code in reader.terminal for code in TOLD), reader.terminal

        async def at_rest() -> bool:
            left = [await count(fleet, "EXISTS", f"headgate:queue:{key}") for key in KEYS]
            gauges = [await replica.metrics() for replica in fleet.replicas]
            here = [one[name] for one in gauges for name in GAUGES]
            return not any(left) and not await count(fleet, "EXISTS", HOLDERS) and not any(here)

        await eventually(at_rest, 2 * LEASE + LOOK)
        logs = [replica.log() for replica in fleet.replicas]
        assert len(recorded(*logs, by="thread_id")) == CLIENTS
        # What was served and is forgotten may be begun again: then it is a call more, and a record more.
        records = sum(recorded(*logs, by="outcome").values())
        assert CLIENTS <= records <= (await fleet.seen("ok-slow"))["requests"] <= CLIENTS + SLOTS * len(fleet.replicas)
