"""What counts against a target, and what does not (B5)."""

import pytest

from adapters.providers.demo_scripts import Script, text_pieces
from domain import errors
from domain.errors import (
    NoConnectionLeftError,
    NoRoomLeftError,
    ProviderAnswerTooLargeError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderTruncatedError,
    ProviderUnavailableError,
)
from domain.model import Cancelled, Failed
from tests.domain.parts import CALLER, TEXT, House, ask, context, read_all

PIECES = text_pieces(TEXT)
COUNTS = {
    ProviderError: True,
    ProviderUnavailableError: True,
    ProviderRateLimitedError: True,
    ProviderTimeoutError: True,
    ProviderConnectionError: True,
    NoConnectionLeftError: False,
    NoRoomLeftError: False,
    ProviderTruncatedError: True,
    ProviderResponseError: True,
    ProviderAnswerTooLargeError: False,
    ProviderAuthenticationError: False,
    ProviderRequestError: False,
    ProviderModelNotFoundError: False,
}


def failures(house: House, target: str) -> int:
    """How many calls count against it."""
    (report,) = house.breakers.reports([target])
    return report.failures


def test_each_error_of_a_provider_is_in_the_table_b5() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ProviderError)]
    assert set(COUNTS) == set(kinds)


@pytest.mark.parametrize("place", [0, 2], ids=["before the first event", "after it"])
@pytest.mark.parametrize("kind", COUNTS)
async def test_what_an_error_counts_for_b5(kind: type[ProviderError], place: int) -> None:
    """Each try is a call of its own: only the first is looked at, which no other target hides."""
    house = House(scripts={"bad": Script(PIECES, error=kind, error_at=place)}, routes={"fast": ("p/bad", "p/ok")})
    service = house.build()
    while house.generations._attempts._budget.withdraw():
        pass  # so that nothing is retried
    attachment = await service.open(ask("fast"), context(grace=100.0))
    await read_all(attachment)
    attachment.close()
    assert failures(house, "p/bad") == COUNTS[kind]
    assert failures(house, "p/ok") == 0


@pytest.mark.parametrize("place", [0, 2], ids=["before the first event", "after it"])
async def test_a_client_that_leaves_does_not_count_b5(place: int) -> None:
    house = House(scripts={"slow": Script(PIECES, stall_at=place)})
    service = house.build()
    for _ in range(5):
        attachment = await service.open(ask("p/slow"), context(lookup=False))
        await house.clock.advance(0)
        assert house.demo.open == 1
        attachment.close()
        await house.clock.advance(0)
    assert house.recorder.records[-1].outcome == "cancelled"
    assert failures(house, "p/slow") == 0
    attachment = await service.open(ask("p/slow"), context(lookup=False, grace=100.0))
    await house.clock.advance(0)
    await service.cancel(attachment.info.stream_id, CALLER)
    assert isinstance((await read_all(attachment))[-1], Cancelled)
    attachment.close()
    assert failures(house, "p/slow") == 0


async def test_what_cannot_be_joined_does_not_count_against_who_said_it_b5() -> None:
    words = " ".join(f"word{number}" for number in range(20))
    other = text_pieces("word0 word1 word2 word3 word4 and then it is another answer")
    scripts = {"cut": Script(text_pieces(words), error=ProviderTimeoutError, error_at=10), "other": Script(other)}
    house = House(scripts=scripts, routes={"fast": ("p/cut", "p/other")})
    attachment = await house.build().open(ask("fast"), context())
    assert isinstance((await read_all(attachment))[-1], Failed)
    attachment.close()
    await house.clock.advance(0)
    assert house.recorder.records[-1].failures == (("p/cut", "provider_timeout"), ("p/other", "upstream_truncated"))
    assert (failures(house, "p/cut"), failures(house, "p/other")) == (1, 0)


async def test_a_slow_first_event_counts_b5() -> None:
    house = House(scripts={"silent": Script(PIECES, stall_at=0)})
    attachment = await house.build().open(ask("p/silent"), context(grace=100.0))
    await house.pass_time(11)
    assert isinstance((await read_all(attachment))[-1], Failed)
    attachment.close()
    assert failures(house, "p/silent") == 1
