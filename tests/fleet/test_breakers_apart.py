"""One replica is cut off from Redis (fault 37): its own breaker protects it, and what each side found out meanwhile is
put together without a flap when it is back (B1, B6)."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.fleet.harness import Fleet, Replica, eventually, running_fleet
from tests.fleet.http_client import call
from tests.redis_proxy import Proxy, proxy_to
from tests.redis_server import RedisServer

THRESHOLD = 4
HEARD_SECONDS = 3.0
"""For the connections to Redis to be made again, and the next look at the board."""
WATCHED_SECONDS = 2.5
OPEN = {"open", "half_open"}


@dataclass
class Apart:
    """Two replicas on one Redis, and a third that reaches it through a proxy."""

    fleet: Fleet
    proxy: Proxy

    async def ask(self, number: int, model: str, prompt: str) -> str:
        """How one request at a replica ended: the code of its error, or `complete`."""
        body = {"model": f"openai/{model}", "prompt": f"{number} {prompt}"}
        answer, data = await call(self.fleet.url(number), "POST", "/v1/streams", body)
        return "complete" if answer.status == 200 else str(json.loads(data)["code"])

    async def open_at(self, number: int, model: str) -> None:
        """A replica finds a target dead, and asks it no more."""
        before = (await self.fleet.seen(model))["requests"]
        for attempt in range(THRESHOLD):
            assert await self.ask(number, model, f"finds it dead {attempt}") == "provider_unavailable"
        assert [await self.ask(number, model, f"again {attempt}") for attempt in range(5)] == ["circuit_open"] * 5
        assert (await self.fleet.seen(model))["requests"] == before + THRESHOLD

    async def state(self, number: int, model: str) -> str:
        """What a replica says of a target."""
        _, data = await call(self.fleet.url(number), "GET", "/v1/providers")
        rows = {row["target"]: row["state"] for row in json.loads(data)["targets"]}
        return str(rows.get(f"openai/{model}", "closed"))

    async def states(self, model: str) -> list[str]:
        """What each replica says of it."""
        return list(await asyncio.gather(*(self.state(number, model) for number in range(3))))

    async def until(self, model: str, *states: str) -> None:
        """Waits until the replicas say so; those on Redis hear of each other within a second (B1), on a busy machine
        somewhat later."""

        async def hold() -> bool:
            return await self.states(model) == list(states)

        await eventually(hold, 2.0)

    async def turns(self, models: tuple[str, ...], seconds: float) -> dict[tuple[str, int], list[bool]]:
        """By target and replica, whether it was shut out, each time that this changed."""
        seen: dict[tuple[str, int], list[bool]] = {}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for model in models:
                for number, state in enumerate(await self.states(model)):
                    turns = seen.setdefault((model, number), [])
                    if not turns or turns[-1] != (state in OPEN):
                        turns.append(state in OPEN)
            await asyncio.sleep(0.02)
        return seen

    async def cut_off(self) -> None:
        """From here on nothing passes between the third and Redis."""
        self.proxy.silent = True

        async def degraded() -> bool:
            return bool((await self.fleet.replicas[2].ready())["status"] != "ready")

        await eventually(degraded)


@contextlib.asynccontextmanager
async def apart(cooldown: float) -> AsyncIterator[Apart]:
    environ = {
        "CB_FAILURE_THRESHOLD": str(THRESHOLD),
        "CB_RECOVERY_TIMEOUT": str(cooldown),
        "RETRY_MAX_ATTEMPTS": "1",
        "STREAM_DRAIN_TIMEOUT": "0",
    }
    with RedisServer() as redis:
        async with proxy_to(redis.port) as proxy:
            on_redis = running_fleet(redis, count=2, environ=environ)
            fleet = await asyncio.to_thread(on_redis.__enter__)
            own = {**environ, "OPENAI_BASE_URL": fleet.upstream}
            behind_it = running_fleet(redis, count=1, redis_url=proxy.url, environ=own)
            try:
                third: list[Replica] = (await asyncio.to_thread(behind_it.__enter__)).replicas
                try:
                    yield Apart(Fleet([*fleet.replicas, *third], redis, fleet.upstream), proxy)
                finally:
                    await asyncio.to_thread(behind_it.__exit__, None, None, None)
            finally:
                await asyncio.to_thread(on_redis.__exit__, None, None, None)


async def test_a_replica_without_redis_is_protected_and_comes_back_without_flapping_b6_37() -> None:
    """Fault 37: each side opens what it finds dead; afterwards all know all of it, and nothing was closed for it."""
    here, there, both = models = ("here--500", "there--500", "both--500")
    async with apart(cooldown=60.0) as them:
        await them.cut_off()
        await them.open_at(0, here)
        await them.open_at(2, there)
        await them.open_at(0, both)
        await them.open_at(2, both)
        await them.until(here, "open", "open", "closed")
        await them.until(there, "closed", "closed", "open")
        await them.until(both, "open", "open", "open")
        calls = [(await them.fleet.seen(model))["requests"] for model in models]
        watching = asyncio.create_task(them.turns(models, HEARD_SECONDS + WATCHED_SECONDS))
        await asyncio.sleep(0.2)
        them.proxy.silent = False
        seen = await watching
        for number in range(3):
            assert await them.states(models[number]) == ["open"] * 3
            assert seen[here, number] == ([False, True] if number == 2 else [True])
            assert seen[there, number] == ([True] if number == 2 else [False, True])
            assert seen[both, number] == [True]
            for model in models:
                assert await them.ask(number, model, "afterwards") == "circuit_open"
        assert [(await them.fleet.seen(model))["requests"] for model in models] == calls


async def test_what_it_found_dead_before_the_others_found_it_well_is_not_opened_again_b6_37() -> None:
    """Fault 37: the target recovers meanwhile; the opening that comes late is older than the closing."""
    model = "recovers--heals"
    async with apart(cooldown=4.0) as them:
        await them.cut_off()
        await them.open_at(0, model)
        await asyncio.sleep(2.5)
        await them.open_at(2, model)

        async def closed() -> bool:
            return await them.ask(0, model, f"{time.monotonic()}") == "complete"

        await eventually(closed, 6.0)
        await them.until(model, "closed", "closed", "open")
        watching = asyncio.create_task(them.turns((model,), WATCHED_SECONDS))
        them.proxy.silent = False
        seen = await watching
        assert (seen[model, 0], seen[model, 1]) == ([False], [False])
        assert await them.ask(1, model, "afterwards") == "complete"
