"""Who asks: keys by their hash, and everybody alike who has a wrong one."""

from hashlib import sha256

import pytest

from domain.errors import InvalidApiKeyError, MissingApiKeyError
from domain.model import Caller
from domain.services.callers import ApiKey, Callers

KEY = "hg_" + "a" * 40
CALLERS = Callers({"acme": ApiKey(sha256(KEY.encode()).hexdigest().upper(), "acme", "premium")})


def test_without_keys_each_address_is_a_caller() -> None:
    assert Callers({}).identify(None, "127.0.0.1") == Caller("ip:127.0.0.1")
    assert Callers({}).identify("any", "::1") == Caller("ip:::1")


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
