"""What only the breaker board on Redis promises: what one replica opens, all know; no outage closes anything."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.memory.probe_leases import MAX_TARGETS
from adapters.redis.breaker_board import VERSION, RedisBreakerBoard
from adapters.redis.breaker_entry import CLOSED_SECONDS, BreakerEntry
from adapters.redis.client import RedisClient
from adapters.redis.connection import connector
from adapters.redis.probe_leases import ALONE_SECONDS, SETTLING, STATES
from domain.model import OPENED_BY_HAND, BreakerState
from domain.services.breaker_state import BreakerPolicy
from domain.services.circuit_breaker import CircuitBreakers
from tests.redis_breakers import breakers_later
from tests.redis_cases import redis_client
from tests.redis_proxy import proxy_to
from tests.redis_server import RedisServer
from tests.service import until

TARGET = "openai/gpt-4o"
SURROGATE = "openai/\ud800 \x00"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class House:
    """Replicas on one Redis, and a clock that they share."""

    def __init__(self, client: RedisClient, count: int) -> None:
        self.client = client
        self.clock = ManualClock()
        self.boards = [RedisBreakerBoard(client, self.clock) for _ in range(count)]
        self.well: set[RedisBreakerBoard] = set()
        for board in self.boards:
            board.ask(self._vouch(board))

    def _vouch(self, board: RedisBreakerBoard) -> Callable[[str], bool]:
        return lambda target: board in self.well

    def opening(self, generation: int = 1, seconds: float = 60.0, reason: str = "") -> BreakerState:
        return BreakerState(self.clock.monotonic() + seconds, generation, reason=reason)

    async def hear(self) -> None:
        """Each looks twice: who looked first hears the last too."""
        for board in [*self.boards, *self.boards]:
            await board.synchronise()

    async def advance(self, seconds: float) -> None:
        await breakers_later(self.client, seconds)
        await self.clock.advance(seconds)

    def open(self, target: str = TARGET) -> list[bool]:
        return [board.state(target) is not None for board in self.boards]


@contextlib.asynccontextmanager
async def house(server: RedisServer, count: int = 3) -> AsyncIterator[House]:
    async with redis_client(connector(server.url)) as client:
        yield House(client, count)


@pytest.mark.parametrize("target", [TARGET, SURROGATE])
async def test_what_one_opens_all_know_as_it_is_b1(server: RedisServer, target: str) -> None:
    async with house(server) as fleet:
        state = BreakerState(1_060.0, 1, 2, "provider_timeout", 5, 1_700_000_000.25)
        await fleet.boards[0].publish(target, state)
        await fleet.hear()
        for board in fleet.boards:
            heard = board.state(target)
            assert heard is not None
            assert (
                abs(heard.open_until - state.open_until) < 2.0
            )  # the clock of the test stands still, Redis's does not
            assert (heard.generation, heard.openings, heard.reason) == (1, 2, "provider_timeout")
            assert (heard.failures, heard.since) == (5, 1_700_000_000.25)
            assert board.open_targets() == [target]
            assert board.occupancy()["headgate_open_breakers"]() == 1


async def test_what_one_closes_is_closed_for_all_b3(server: RedisServer) -> None:
    async with house(server) as fleet:
        await fleet.boards[0].publish(TARGET, fleet.opening())
        await fleet.hear()
        await fleet.boards[1].publish(TARGET, None)
        await fleet.hear()
        assert fleet.open() == [False] * 3
        await fleet.boards[2].publish(TARGET, fleet.opening())
        state = fleet.boards[2].state(TARGET)
        assert state is not None
        assert state.generation == 2


async def test_two_that_open_at_once_agree_on_one_opening_b3(server: RedisServer) -> None:
    async with house(server) as fleet:
        for board in fleet.boards:
            await board.publish(TARGET, fleet.opening())
        await fleet.hear()
        assert [state.generation for board in fleet.boards if (state := board.state(TARGET))] == [1, 1, 1]


async def test_of_two_openings_at_once_the_longer_cooldown_counts_b4(server: RedisServer) -> None:
    async with house(server) as fleet:
        for board, seconds in zip(fleet.boards, (60.0, 100.0, 80.0), strict=True):
            await board.publish(TARGET, fleet.opening(seconds=seconds))
        await fleet.hear()
        ends = [state.open_until for board in fleet.boards if (state := board.state(TARGET))]
        assert all(end > 1_098.0 for end in ends), ends


async def test_an_opening_after_a_closing_that_was_not_heard_yet_counts_b3(server: RedisServer) -> None:
    async with house(server) as fleet:
        first, second, late = fleet.boards
        await first.publish(TARGET, fleet.opening())
        await first.publish(TARGET, None)
        await late.publish(TARGET, fleet.opening())
        await fleet.hear()
        assert [state.generation for board in (first, second, late) if (state := board.state(TARGET))] == [2, 2, 2]


async def test_who_knows_an_old_state_gets_no_probe_b3(server: RedisServer) -> None:
    async with house(server) as fleet:
        await fleet.boards[0].publish(TARGET, fleet.opening())
        await fleet.hear()
        await fleet.boards[0].publish(TARGET, fleet.opening(2))
        assert not await fleet.boards[1].acquire_probe(TARGET, "b", 10.0)
        await fleet.hear()
        assert await fleet.boards[1].acquire_probe(TARGET, "b", 10.0)
        assert not await fleet.boards[0].acquire_probe(TARGET, "a", 10.0)
        assert not await fleet.boards[1].acquire_probe(TARGET, "c", 10.0)
        await fleet.boards[1].release_probe(TARGET, "b")
        assert await fleet.boards[0].acquire_probe(TARGET, "a", 10.0)


async def test_a_lost_data_base_closes_nothing_b6(server: RedisServer) -> None:
    """FLUSHALL: whoever knows it open says it again, and whoever knows it closed says that."""
    async with house(server) as fleet:
        await fleet.boards[0].publish(TARGET, fleet.opening())
        await fleet.boards[0].publish("p/closed", fleet.opening())
        await fleet.hear()
        await fleet.boards[1].publish("p/closed", None)
        await server.command("FLUSHALL")
        assert fleet.open() == [True] * 3
        await fleet.hear()
        assert fleet.open() == [True] * 3
        assert fleet.open("p/closed") == [False] * 3
        assert await server.command("HLEN", STATES) == ":2"


async def test_after_a_loss_of_data_the_probe_that_is_out_stays_the_only_one_b3_b6(server: RedisServer) -> None:
    async with house(server) as fleet:
        holder, first, second = fleet.boards
        await holder.publish(TARGET, fleet.opening(seconds=0.0))
        await fleet.hear()
        assert await holder.acquire_probe(TARGET, "a", 30.0)
        await server.command("FLUSHALL")
        assert not await first.acquire_probe(TARGET, "b", 30.0)  # Redis knows nothing of it: it is told
        assert not await second.acquire_probe(TARGET, "c", 30.0)  # and nobody gets one until all have spoken
        await holder.synchronise()
        await server.command("DEL", SETTLING)
        assert not await first.acquire_probe(TARGET, "b", 30.0)
        await fleet.advance(30.0)
        assert await first.acquire_probe(TARGET, "b", 30.0)


async def test_who_only_asks_for_the_probe_has_none_to_write_again_b3(server: RedisServer) -> None:
    """A look at Redis between the question and the refusal: nobody is left with the lease."""
    async with house(server) as fleet:
        board, other, _ = fleet.boards
        await board.publish(TARGET, fleet.opening(seconds=0.0))
        await fleet.hear()
        await server.command("SET", SETTLING, 1)
        asking = asyncio.create_task(board.acquire_probe(TARGET, "a", 300.0))
        await asyncio.sleep(0)
        await board.synchronise()
        assert not await asking
        await server.command("DEL", SETTLING)
        assert await other.acquire_probe(TARGET, "b", 300.0)


async def test_a_probe_whose_fate_is_not_known_is_given_back_b3() -> None:
    """The reply is lost: nobody probes, and when Redis answers again the probe is free."""
    with RedisServer() as server:
        async with proxy_to(server.port) as proxy, redis_client(connector(proxy.url)) as client:
            fleet = House(client, 1)
            (board,) = fleet.boards
            await board.publish(TARGET, fleet.opening(seconds=0.0))
            assert await board.acquire_probe(TARGET, "first", 300.0)  # Redis knows the scripts from here on
            await board.release_probe(TARGET, "first")
            proxy.lose_replies = True
            assert not await board.acquire_probe(TARGET, "a", 300.0)
            await board.release_probe(TARGET, "other")
            assert await server.command("EXISTS", f"headgate:{{breakers}}:probe:{TARGET}") == ":1"
            proxy.lose_replies = False
            async with asyncio.timeout(5.0):
                while await server.command("EXISTS", f"headgate:{{breakers}}:probe:{TARGET}") != ":0":
                    await board.synchronise()


async def test_a_restart_without_data_closes_nothing_and_raises_nothing_b6() -> None:
    with RedisServer() as server:
        async with house(server) as fleet:
            await fleet.boards[0].publish(TARGET, fleet.opening())
            await fleet.hear()
            server.kill()
            await fleet.boards[0].publish("p/new", fleet.opening())
            await fleet.hear()
            assert fleet.open() == [True] * 3
            assert fleet.open("p/new") == [True, False, False]
            assert not await fleet.boards[1].acquire_probe(TARGET, "b", 10.0)  # it may be back in a moment
            await fleet.clock.advance(ALONE_SECONDS)
            assert await fleet.boards[1].acquire_probe(TARGET, "b", 10.0)  # each grants its own
            assert not await fleet.boards[1].acquire_probe(TARGET, "c", 10.0)
            await fleet.boards[1].release_probe(TARGET, "b")
            server.start()
            async with redis_client(connector(server.url)) as client:
                for board in fleet.boards:
                    board._client = board._probes._client = client
                await fleet.hear()
            assert fleet.open() == [True] * 3
            assert fleet.open("p/new") == [True] * 3


async def test_a_redis_that_refuses_or_holds_something_else_changes_nothing_b6(server: RedisServer) -> None:
    async with house(server) as fleet:
        await server.command("SET", STATES, "foreign")
        await fleet.boards[0].publish(TARGET, fleet.opening())
        await fleet.hear()
        assert fleet.open() == [True, False, False]
        await server.command("DEL", STATES)
        await server.command("HSET", STATES, TARGET, "foreign")
        await server.command("HSET", STATES, "p/other", "x y z 1 2 3 4 5")
        await fleet.hear()
        assert fleet.open() == [True] * 3
        assert fleet.open("p/other") == [False] * 3


async def test_one_sick_replica_opens_only_for_itself_b1(server: RedisServer) -> None:
    """Two do well and say so; the third, which has no calls, believes them."""
    async with house(server, 4) as fleet:
        sick, well, too, _idle = fleet.boards
        fleet.well = {well, too}
        await sick.publish(TARGET, fleet.opening())
        await fleet.hear()
        assert fleet.open() == [True, False, False, False]
        for _ in range(4):
            await fleet.advance(2.0)
            await fleet.hear()
            assert fleet.open() == [True, False, False, False]
        fleet.well = set()
        await fleet.advance(5.1)
        assert fleet.open() == [True] * 4


async def test_what_one_opened_alone_during_an_outage_does_not_open_a_healthy_fleet_fault_37(
    server: RedisServer,
) -> None:
    async with house(server) as fleet:
        cut_off, first, second = fleet.boards
        fleet.well = {first, second}
        client = cut_off._client
        cut_off._client = RedisClient(connector(server.url), client._timing, lambda serves, reason: None)
        await cut_off.publish(TARGET, fleet.opening())
        assert fleet.open() == [True, False, False]
        cut_off._client = client
        for _ in range(3):
            await fleet.hear()
            assert fleet.open() == [True, False, False]


async def test_who_has_failures_of_its_own_counts_them_and_hears_no_objection_b1(server: RedisServer) -> None:
    async with house(server) as fleet:
        sick, well, also_sick = fleet.boards
        fleet.well = {well}
        await sick.publish(TARGET, fleet.opening())
        await fleet.hear()
        await also_sick.publish(TARGET, fleet.opening())
        assert fleet.open() == [True, False, True]


@pytest.mark.parametrize("found_well_first", [False, True])
async def test_of_what_each_side_found_without_the_other_the_later_counts_b6(
    server: RedisServer, found_well_first: bool
) -> None:
    """Fault 37: one is cut off from Redis, and its opening has a higher generation than what the others closed."""
    async with house(server) as fleet, proxy_to(server.port) as proxy, redis_client(connector(proxy.url)) as client:
        cut_off = fleet.boards[2]
        cut_off._client = cut_off._probes._client = client
        await fleet.hear()
        proxy.silent = True
        await fleet.boards[0].publish(TARGET, fleet.opening())
        if found_well_first:
            await fleet.boards[0].publish(TARGET, None)
            await fleet.advance(5.0)
        await cut_off.publish(TARGET, fleet.opening())
        await cut_off.publish(TARGET, fleet.opening(2))  # a probe of its own failed
        if not found_well_first:
            await fleet.advance(5.0)
            await fleet.boards[0].publish(TARGET, None)
        proxy.silent = False

        async with asyncio.timeout(5.0):
            while fleet.open() != [found_well_first] * 3:
                await fleet.hear()
        for _ in range(3):
            await fleet.hear()
            assert fleet.open() == [found_well_first] * 3
        await cut_off.publish(TARGET, fleet.opening())
        state = cut_off.state(TARGET)
        assert state is not None
        assert state.generation == 3
        await fleet.hear()
        assert fleet.open() == [True] * 3


async def test_an_operator_s_opening_holds_for_those_that_do_well_too(server: RedisServer) -> None:
    async with house(server) as fleet:
        fleet.well = set(fleet.boards)
        await fleet.boards[0].publish(TARGET, fleet.opening(reason=OPENED_BY_HAND))
        await fleet.hear()
        assert fleet.open() == [True] * 3


async def test_closed_breakers_are_forgotten_in_time(server: RedisServer) -> None:
    async with house(server) as fleet:
        await fleet.boards[0].publish(TARGET, fleet.opening())
        await fleet.boards[0].publish(TARGET, None)
        await fleet.hear()
        assert [len(board._entries) for board in fleet.boards] == [1] * 3
        await fleet.clock.advance(CLOSED_SECONDS + 1)
        await server.command("HSET", STATES, TARGET, "1 1 1 0 1 0 0 ")  # closed long ago, for Redis too
        await server.command("SET", "headgate:{breakers}:version", "other")
        await fleet.hear()
        assert [len(board._entries) for board in fleet.boards] == [0] * 3
        assert await server.command("HLEN", STATES) == ":0"


async def test_a_board_that_runs_hears_within_half_a_second_and_ends_b1(server: RedisServer) -> None:
    async with house(server, 2) as fleet:
        for board in fleet.boards:
            await board.start()
        try:
            await fleet.boards[0].publish(TARGET, fleet.opening())
            await fleet.clock.advance(0.5)
            await until(lambda: fleet.open() == [True, True])
        finally:
            for board in fleet.boards:
                await board.aclose()


async def test_no_more_is_kept_than_the_bound(server: RedisServer) -> None:
    """Callers name targets: beyond the bound the oldest is forgotten here, and Redis takes no more."""
    async with house(server, 1) as fleet:
        (board,) = fleet.boards
        await server.command("EVAL", "for i = 1, 10000 do redis.call('HSET', KEYS[1], i, '') end", 1, STATES)
        for number in range(MAX_TARGETS + 1):
            board._keep(f"p/{number}", BreakerEntry(fleet.opening(), closed=False, own=True))
        await board.publish(TARGET, fleet.opening())
        assert board.state("p/1") is None
        assert board.state(TARGET) is not None
        assert len(board._entries) == MAX_TARGETS
        assert await server.command("HLEN", STATES) == ":10000"


async def test_what_redis_has_from_before_is_told_the_newer_state_b6(server: RedisServer) -> None:
    """A failover to a replica that was behind."""
    async with house(server) as fleet:
        await fleet.boards[0].publish(TARGET, fleet.opening())
        old = await server.command("HGET", STATES, TARGET)
        await fleet.boards[0].publish(TARGET, fleet.opening(2))
        await fleet.hear()
        await server.command("HSET", STATES, TARGET, old)
        await server.command("SET", VERSION, "older")
        await fleet.hear()
        assert (await server.command("HGET", STATES, TARGET)).startswith("2 0 ")


async def test_closed_breakers_cost_no_command_on_the_path_of_a_request_b2(server: RedisServer) -> None:
    async with house(server, 1) as fleet:
        breakers = CircuitBreakers(fleet.clock, fleet.boards[0], BreakerPolicy(), lambda _: 30.0)
        before = fleet.client.commands
        for number in range(100):
            target, holder = f"p/{number % 7}", f"s{number}"
            assert await breakers.admit(target, holder)
            assert not breakers.shuts_out(target)
            if number % 5:
                await breakers.succeeded(target, holder)
            elif number % 2:
                await breakers.failed(target, holder)
            else:
                await breakers.abandoned(target, holder)
        assert fleet.client.commands == before
