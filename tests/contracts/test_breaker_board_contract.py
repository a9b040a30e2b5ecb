"""The contract of the breaker board port."""

from domain.model import BreakerState
from tests.contracts.cases import OpenBreakerBoard

TARGET, OTHER = "openai/gpt-4o", "openai/gpt-4o-mini"


async def test_a_target_of_which_nothing_was_heard_is_closed(open_breaker_board: OpenBreakerBoard) -> None:
    async with open_breaker_board() as (board, _):
        assert board.state(TARGET) is None


async def test_what_was_published_last_is_the_state_of_that_target_alone(open_breaker_board: OpenBreakerBoard) -> None:
    """B0: one model's trouble does not shut out another of the same provider."""
    async with open_breaker_board() as (board, _):
        await board.publish(TARGET, BreakerState(2_000.0, 1))
        await board.publish(TARGET, BreakerState(3_000.0, 2))
        assert board.state(TARGET) == BreakerState(3_000.0, 2)
        assert board.state(OTHER) is None


async def test_an_open_breaker_stays_on_the_board_when_its_time_has_passed(
    open_breaker_board: OpenBreakerBoard,
) -> None:
    """B3: half-open is left by a probe, not by time."""
    async with open_breaker_board() as (board, advance):
        await board.publish(TARGET, BreakerState(1_010.0, 1))
        await advance(100.0)
        assert board.state(TARGET) == BreakerState(1_010.0, 1)


async def test_closing_is_idempotent(open_breaker_board: OpenBreakerBoard) -> None:
    async with open_breaker_board() as (board, _):
        await board.publish(TARGET, None)
        await board.publish(TARGET, BreakerState(2_000.0, 1))
        await board.publish(TARGET, None)
        await board.publish(TARGET, None)
        assert board.state(TARGET) is None


async def test_a_generation_is_never_used_again(open_breaker_board: OpenBreakerBoard) -> None:
    """B3: so that the result of an old probe cannot be taken for that of a new one."""
    async with open_breaker_board() as (board, _):
        generations = []
        for _ in range(3):
            await board.publish(TARGET, BreakerState(2_000.0, 1))
            state = board.state(TARGET)
            assert state is not None
            generations.append(state.generation)
            await board.publish(TARGET, None)
        assert generations == sorted(set(generations))


async def test_the_open_targets_are_those_that_are_not_closed(open_breaker_board: OpenBreakerBoard) -> None:
    async with open_breaker_board() as (board, _):
        assert list(board.open_targets()) == []
        await board.publish(TARGET, BreakerState(2_000.0, 1))
        await board.publish(OTHER, BreakerState(2_000.0, 1))
        await board.publish(TARGET, None)
        assert list(board.open_targets()) == [OTHER]


async def test_all_that_is_known_of_an_opening_is_kept(open_breaker_board: OpenBreakerBoard) -> None:
    async with open_breaker_board() as (board, advance):
        state = BreakerState(2_000.0, 3, 2, "provider_timeout", 7, 1_700_000_000.5)
        await board.publish(TARGET, state)
        await advance(5.0)
        assert board.state(TARGET) == state


async def test_one_probe_of_a_target_at_a_time(open_breaker_board: OpenBreakerBoard) -> None:
    """B3."""
    async with open_breaker_board() as (board, _):
        assert await board.acquire_probe(TARGET, "a", 10.0) is True
        assert await board.acquire_probe(TARGET, "b", 10.0) is False
        assert await board.acquire_probe(OTHER, "b", 10.0) is True


async def test_a_probe_that_is_given_back_is_free(open_breaker_board: OpenBreakerBoard) -> None:
    async with open_breaker_board() as (board, _):
        await board.acquire_probe(TARGET, "a", 10.0)
        await board.release_probe(TARGET, "a")
        assert await board.acquire_probe(TARGET, "b", 10.0) is True


async def test_a_lost_prober_frees_the_probe_after_its_seconds(open_breaker_board: OpenBreakerBoard) -> None:
    """B3."""
    async with open_breaker_board() as (board, advance):
        await board.acquire_probe(TARGET, "a", 10.0)
        await advance(9.0)
        assert await board.acquire_probe(TARGET, "b", 10.0) is False
        await advance(1.0)
        assert await board.acquire_probe(TARGET, "b", 10.0) is True


async def test_a_prober_that_lost_its_probe_cannot_give_back_another_s(open_breaker_board: OpenBreakerBoard) -> None:
    """B3: owned per request."""
    async with open_breaker_board() as (board, advance):
        await board.acquire_probe(TARGET, "a", 10.0)
        await advance(10.0)
        await board.acquire_probe(TARGET, "b", 10.0)
        await board.release_probe(TARGET, "a")
        assert await board.acquire_probe(TARGET, "c", 10.0) is False


async def test_giving_back_a_probe_that_nobody_has_does_nothing(open_breaker_board: OpenBreakerBoard) -> None:
    async with open_breaker_board() as (board, _):
        await board.release_probe(TARGET, "a")
        assert await board.acquire_probe(TARGET, "a", 10.0) is True


async def test_a_probe_lives_apart_from_the_state(open_breaker_board: OpenBreakerBoard) -> None:
    async with open_breaker_board() as (board, _):
        await board.publish(TARGET, BreakerState(1_010.0, 1))
        await board.acquire_probe(TARGET, "a", 10.0)
        await board.publish(TARGET, BreakerState(1_050.0, 2))
        assert await board.acquire_probe(TARGET, "b", 10.0) is False
