"""Who asks: keys by their hash, and everybody alike who has a wrong one."""

from hashlib import sha256

import pytest

from domain.errors import InvalidApiKeyError, MissingApiKeyError
from domain.model import Caller
from domain.services.callers import Callers
from ports.keys import ApiKey
from tests.test_budget import Calls

KEY = "hg_" + "a" * 40
OTHER = "hg_" + "b" * 40
TIERS = ("default", "premium")


def kept(name: str, key: str, tier: str = "premium") -> ApiKey:
    return ApiKey(name, sha256(key.encode()).hexdigest().upper(), name, tier)


CALLERS = Callers([kept("acme", KEY)], TIERS)


def test_without_keys_each_address_is_a_caller() -> None:
    callers = Callers([], TIERS)
    assert callers.identify(None, "127.0.0.1") == Caller("ip:127.0.0.1")
    assert callers.identify("any", "::1") == Caller("ip:::1")


def test_a_key_makes_its_tenant_and_tier_p2() -> None:
    assert CALLERS.identify(KEY, "10.0.0.1") == Caller("acme", "premium")


def test_no_key_is_told_how_to_send_one() -> None:
    for nothing in (None, ""):
        with pytest.raises(MissingApiKeyError):
            CALLERS.identify(nothing, "127.0.0.1")


@pytest.mark.parametrize("wrong", ["x", KEY[:-1], KEY + "a", "' OR 1=1 --", "é\ud800", "k" * 100_000])
def test_wrong_keys_are_told_apart_by_nothing_p2(wrong: str) -> None:
    with pytest.raises(InvalidApiKeyError) as caught:
        CALLERS.identify(wrong, "127.0.0.1")
    assert str(caught.value) == "The API key is not valid."
    assert not caught.value.details


def test_every_wrong_key_is_the_same_work_p2() -> None:
    """BAD_INPUT 28, in calls instead of a clock: nobody learns from the time how wrong a key is."""
    callers = Callers([kept("acme", KEY)], TIERS)
    callers.replace([kept("gone", OTHER)])
    callers.replace([])  # revoked
    wrong = ["x", KEY[:-1], KEY + "a", OTHER, "' OR 1=1 --", '"', "é\ud800", "k" * 100_000, "hg_" + "c" * 40]
    work = set()
    for key in wrong:
        with Calls() as calls, pytest.raises(InvalidApiKeyError):
            callers.identify(key, "127.0.0.1")
        work.add(calls.count)
    assert len(work) == 1


def test_a_key_that_is_longer_than_any_of_ours_is_wrong_also_if_its_beginning_is_right() -> None:
    long = "k" * 512
    callers = Callers([kept("acme", long)], TIERS)
    assert callers.identify(long, "").tenant == "acme"
    with pytest.raises(InvalidApiKeyError):
        callers.identify(long + "k", "")


def test_stored_keys_come_and_go_and_configured_ones_stay() -> None:
    callers = Callers([kept("acme", KEY)], TIERS)
    callers.replace([kept("other", OTHER, "default")])
    assert callers.identify(OTHER, "") == Caller("other", "default")
    callers.replace([])
    assert callers.identify(KEY, "") == Caller("acme", "premium")
    with pytest.raises(InvalidApiKeyError):
        callers.identify(OTHER, "")


def test_the_first_key_closes_it_and_the_last_ones_end_does_not_open_it() -> None:
    callers = Callers([], TIERS)
    callers.replace([])
    assert callers.identify(None, "127.0.0.1") == Caller("ip:127.0.0.1")
    callers.replace([kept("acme", KEY)])
    with pytest.raises(MissingApiKeyError):
        callers.identify(None, "127.0.0.1")
    callers.replace([])
    with pytest.raises(MissingApiKeyError):
        callers.identify(None, "127.0.0.1")


def test_what_was_closed_refuses_everybody_without_a_key() -> None:
    callers = Callers([], TIERS)
    callers.close()
    with pytest.raises(MissingApiKeyError):
        callers.identify(None, "127.0.0.1")


def test_a_tier_that_does_not_exist_is_the_default_one_and_is_told() -> None:
    callers = Callers([], TIERS)
    gone = kept("acme", KEY, "gold")
    assert callers.replace([gone, kept("other", OTHER)]) == (gone,)
    assert callers.identify(KEY, "") == Caller("acme", "default")
    assert callers.identify(OTHER, "") == Caller("other", "premium")
