"""Who is served when everybody waits: by the order in which the upstream hears of them (Q4).

HEADGATE_FLEET_SECONDS above 10 gives the one caller a thousand requests.
"""

import asyncio
from collections.abc import Iterator

import pytest

from domain.jobs import MAX_COST
from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import call
from tests.fleet.measures import jain_index
from tests.redis_server import RedisServer

SLOTS, FEW, EQUALS = 4, 10, 6
ENVIRON = {
    "STREAM_MAX_CONCURRENT": str(SLOTS),
    "HEADGATE_TRUSTED_PROXIES": "127.0.0.1",
    "QUEUE_MAX_WAIT": "3600",
    "CACHE_ENABLED": "false",
    "STREAM_DRAIN_TIMEOUT": "0",
}


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with RedisServer() as redis, running_fleet(redis, environ=ENVIRON) as fleet:
        yield fleet


async def begin(fleet: Fleet, caller: int, number: int, tokens: int = 10) -> None:
    """A request that goes on without a reader; its model's name tells whose it is."""
    body = {"model": f"openai/{caller}--ok-slow", "prompt": f"{caller} {number}", "max_tokens": tokens}
    headers = {"Prefer": "respond-async", "X-Forwarded-For": f"10.0.0.{caller}"}
    answer, data = await call(fleet.url(number), "POST", "/v1/streams", body, headers)
    assert answer.status == 202, data


async def served(fleet: Fleet, callers: int) -> list[tuple[float, int]]:
    """When the upstream heard of each request, and whose it was; in order."""
    seen = [(await fleet.seen(f"{caller}--ok-slow")).get("times", []) for caller in range(callers)]
    return sorted((at, caller) for caller, times in enumerate(seen) for at in times)


async def waiting(fleet: Fleet) -> int:
    """How many are in the line."""
    return int((await fleet.redis.command("HLEN", "headgate:queue:messages")).removeprefix(":"))


async def test_ten_with_one_request_each_wait_one_round_behind_a_thousand_of_another_q4(
    fleet: Fleet, seconds: float
) -> None:
    """Q4: a round serves each caller, and of the one with the backlog no more than a visit pays for."""
    backlog = 1_000 if seconds > 10 else 100
    for start in range(0, backlog, 50):
        await asyncio.gather(*(begin(fleet, 0, number) for number in range(start, start + 50)))
    before = len(await served(fleet, 1))
    await asyncio.gather(*(begin(fleet, caller, caller) for caller in range(1, FEW + 1)))

    async def all_heard() -> bool:
        return len({caller for _, caller in await served(fleet, FEW + 1)}) == FEW + 1

    await eventually(all_heard, 30)
    order = [caller for _, caller in await served(fleet, FEW + 1)][before:]
    last = max(place for place, caller in enumerate(order) if caller)
    ahead = order[:last].count(0)
    print(f"\n{ahead} of {backlog} requests of the one caller came before the last of the ten")  # noqa: T201
    # A visit, those that were in their slots as the ten came, and those that left them while the ten were arriving.
    assert ahead <= 2 * MAX_COST + 2 * SLOTS
    assert await waiting(fleet) > backlog / 3


async def test_equals_with_a_backlog_are_served_equally_q4(fleet: Fleet) -> None:
    """Q4: Jain's index over what each of six has got after some four rounds; a visit of a round is four requests."""
    each = 20
    for caller in range(EQUALS):  # one after the other: who came first has no advantage
        await asyncio.gather(*(begin(fleet, caller, number, tokens=20) for number in range(each)))
    most = EQUALS * each * 5 // 6

    async def most_is_served() -> bool:
        return len(await served(fleet, EQUALS)) >= most

    start = len(await served(fleet, EQUALS))
    await eventually(most_is_served, 60)
    order = [caller for _, caller in await served(fleet, EQUALS)][start:most]
    index = jain_index([order.count(caller) for caller in range(EQUALS)])
    print(f"\nJain's index over {len(order)} requests of {EQUALS} callers: {index:.4f}")  # noqa: T201
    assert index >= 0.95
