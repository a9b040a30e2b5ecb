"""Where an anonymous request came from: `X-Forwarded-For`, believed of trusted proxies alone."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoints.http.client_address import MAX_HOPS, client_address, neighbourhood
from tests.service import running

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("9.9.9.9", ["1.2.3.4"], "9.9.9.9"),  # a stranger may write what it likes
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),  # what the client wrote itself stands to the left
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4, 10.2.2.2"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4,10.2.2.2"], "1.2.3.4"),  # lines go on from line to line
        ("10.0.0.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ("fd00::1", ["[2001:DB8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["1.2.3.4:5555"], "1.2.3.4"),
        ("::ffff:10.0.0.1", ["::ffff:1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["1.2.3.4, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4, unknown, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", ["", ",,", "1.2.3.4, "], "10.0.0.1"),
        ("10.0.0.1", ["1" * 10_000], "10.0.0.1"),
        ("local", ["1.2.3.4"], "local"),
    ],
)
def test_the_nearest_address_that_is_no_trusted_proxy(peer: str, forwarded: list[str], expected: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == expected


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::ffff", "2001:db8:1:3::/64"),
        ("::1", "::1"),
        ("local", "local"),
    ],
)
def test_whoever_has_many_addresses_is_one_caller_l1(address: str, caller: str) -> None:
    """L1: else a limit by address bounds nobody who has a /64."""
    assert neighbourhood(address) == caller


def test_a_chain_is_followed_so_far_and_no_farther() -> None:
    hops = ["1.2.3.4"] + ["10.0.0.2"] * MAX_HOPS
    assert client_address("10.0.0.1", [", ".join(hops)], PROXIES) == "10.0.0.2"
    assert client_address("10.0.0.1", hops[1:], PROXIES) == "10.0.0.2"
    assert client_address("10.0.0.1", [", ".join(hops[:-1])], PROXIES) == "1.2.3.4"


@given(st.lists(st.text(st.characters(max_codepoint=255)) | st.text("0123456789.:,[]% f"), max_size=5))
def test_any_garbage_gives_an_address_and_never_raises(forwarded: list[str]) -> None:
    assert client_address("9.9.9.9", forwarded, PROXIES) == "9.9.9.9"
    assert client_address("10.0.0.1", forwarded, PROXIES)


async def test_callers_behind_a_trusted_proxy_are_told_apart_s6() -> None:
    """S6: a stream of one is a 404 for the other; without the setting they are one caller."""
    for proxies, status in (("127.0.0.0/8", 404), ("", 200)):
        async with running({"HEADGATE_TRUSTED_PROXIES": proxies}) as service:
            begun = await service.client.post(
                "/v1/streams",
                json={"prompt": "x", "model": "demo/fast"},
                headers={"X-Forwarded-For": "1.2.3.4", "Prefer": "respond-async"},
            )
            path = begun.headers["location"]
            other = await service.client.get(path, headers={"X-Forwarded-For": "1.2.3.5"})
            own = await service.client.get(
                path, headers=[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "1.2.3.4")]
            )
            assert (other.status_code, own.status_code) == (status, 200)


async def test_a_limit_by_address_holds_for_a_whole_64_l1() -> None:
    environ = {"HEADGATE_TRUSTED_PROXIES": "127.0.0.0/8", "RATE_LIMIT_REQUESTS_PER_MINUTE": "1"}
    async with running(environ) as service:
        statuses = []
        for address in ("2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:3::1"):
            answer = await service.client.post(
                "/v1/streams",
                json={"prompt": address, "model": "demo/fast"},
                headers={"X-Forwarded-For": address, "Prefer": "respond-async"},
            )
            statuses.append(answer.status_code)
        assert statuses == [202, 429, 202]
