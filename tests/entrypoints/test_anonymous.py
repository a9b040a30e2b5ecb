"""Without keys a service is open to its own machine only, whatever server it runs under and is bound to (DESIGN 4)."""

import os
import subprocess
import sys

import httpx
import pytest

from adapters.settings import get_settings
from container import Container
from entrypoints.main import build_app
from ports.keys import ApiKey

HASH = "ab" * 32
FACTORY = """
import asyncio, httpx
from entrypoints.main import app
async def main():
    for peer in ("127.0.0.1", "203.0.113.7"):
        transport = httpx.ASGITransport(app(), client=(peer, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            print((await client.get("/v1/models")).status_code)
asyncio.run(main())
"""


async def ask(
    container: Container, peer: str, headers: dict[str, str] | None = None, *, told: bool = False
) -> httpx.Response:
    transport = httpx.ASGITransport(build_app(container, allow_anonymous=told)[0], client=(peer, 5))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get("/v1/models", headers=headers)


@pytest.mark.parametrize("peer", ["203.0.113.7", "10.0.0.1", "192.168.1.1", "fd00::1", "::ffff:10.0.0.1", "testclient"])
async def test_an_anonymous_connection_from_another_machine_is_refused(peer: str) -> None:
    refused = await ask(Container(settings=get_settings({})), peer)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "missing_api_key")
    assert (await ask(Container(settings=get_settings({})), peer, {"Authorization": "Bearer x"})).status_code == 401


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_one_from_this_machine_is_served(peer: str) -> None:
    assert (await ask(Container(settings=get_settings({})), peer)).status_code == 200


async def test_what_a_proxy_elsewhere_says_of_its_client_makes_nobody_local() -> None:
    container = Container(settings=get_settings({"HEADGATE_TRUSTED_PROXIES": "10.0.0.0/8"}))
    assert (await ask(container, "10.0.0.1", {"X-Forwarded-For": "127.0.0.1"})).status_code == 401


async def test_anybody_is_served_if_that_was_said_in_so_many_words_and_there_are_no_keys() -> None:
    told = get_settings({"HEADGATE_ALLOW_ANONYMOUS": "true"})
    assert (await ask(Container(settings=told), "203.0.113.7")).status_code == 200
    container = Container(settings=get_settings({}))
    assert (await ask(container, "203.0.113.7", told=True)).status_code == 200
    container.callers().replace([ApiKey("acme", HASH, "acme", "default")])
    assert (await ask(container, "203.0.113.7", told=True)).status_code == 401
    assert (await ask(container, "127.0.0.1")).status_code == 401


def test_the_factory_for_other_servers_keeps_to_it() -> None:
    for told, statuses in (("false", "200 401"), ("true", "200 200")):
        done = subprocess.run(
            [sys.executable, "-c", FACTORY],
            env={"PATH": os.environ["PATH"], "LOG_LEVEL": "warning", "HEADGATE_ALLOW_ANONYMOUS": told},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.split() == statuses.split()
