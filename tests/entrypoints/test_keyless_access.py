"""While there is no key: whose names are answered, and which pages may change something (G10, BAD_INPUT 36 and 50)."""

import asyncio
import json
from collections.abc import Mapping

import httpx
import pytest

from adapters.settings import get_settings
from container import Container
from domain.errors import ConfigurationError
from entrypoints.http.keyless_access import AllowedHosts, host_name
from entrypoints.main import build_app
from ports.keys import ApiKey
from tests.entrypoints.demo_service import demo
from tests.service import JSON, Running, running

LOOPBACK = [
    "localhost", "LOCALHOST:8000", "localhost.", "a.localhost", "deep.a.localhost:1", "127.0.0.1", "127.0.0.1:8000",
    "127.254.1.2:65535", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
]  # fmt: skip
FOREIGN = [
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost",
    "localhost:evil.example", "a.localhost.evil", "2130706433", "0x7f000001", "127.1", "[::2]", "10.0.0.1",
    "0.0.0.0", "[::]", "headgate", "x" * 300, "127.0.0.1@evil.example", "\xe9vil.example", "[::1].evil.example", "*",
    "", "[",
]  # fmt: skip
PROBES = ["/livez", "/readyz", "/metrics"]
BODY = {"prompt": "hi", "model": "demo/fast"}


async def status(service: Running, path: str, host: str, method: str = "GET", **headers: str) -> httpx.Response:
    named = [(b"Host", host.encode("latin-1")), *((name.encode(), value.encode()) for name, value in headers.items())]
    return await service.client.request(method, path, headers=named)


@pytest.mark.parametrize("host", LOOPBACK)
def test_g10_the_names_of_loopback_are_allowed(host: str) -> None:
    assert AllowedHosts(()).allows(host)


@pytest.mark.parametrize("host", FOREIGN)
def test_g10_no_other_name_is_and_no_address(host: str) -> None:
    assert not AllowedHosts(["headgate.example"]).allows(host)
    assert AllowedHosts(["*"]).allows(host)


def test_g10_names_that_were_configured_are_allowed_with_any_port() -> None:
    hosts = AllowedHosts(["Headgate.example", "10.0.0.5", "[fd00:0::1]", "fd00::2"])
    for host in ("headgate.example", "HEADGATE.EXAMPLE:9", "10.0.0.5:80", "[fd00::1]:80", "[FD00:0:0::2]"):
        assert hosts.allows(host)
    for host in ("a.headgate.example", "10.0.0.6", "[fd00::3]"):
        assert not hosts.allows(host)


def test_g10_an_address_is_allowed_where_anybody_may_call_and_for_probes() -> None:
    addresses = ["10.0.0.1:8000", "[fd00::1]", "203.0.113.7"]
    names = ["evil.example", "2130706433", "127.1", "10.0.0.1.evil.example", "[fd00::1].evil.example"]
    for host in addresses:
        assert AllowedHosts((), any_address=True).allows(host)
        assert AllowedHosts(()).allows(host, probed=True)
    for host in names:
        assert not AllowedHosts((), any_address=True).allows(host)
        assert not AllowedHosts(()).allows(host, probed=True)


def test_a_host_name_is_without_port_brackets_case_and_root() -> None:
    names = {"A.b:80": "a.b", "a.b.": "a.b", "[::1]:5": "::1", "[0::1]": "::1", "127.0.0.1:5": "127.0.0.1"}
    names |= dict.fromkeys(["", "::1", "a:b", "[::1]a", "[a", ":80", "[::1]:5:5"], "")
    assert {host: host_name(host) for host in names} == names


async def test_g10_a_foreign_name_gets_421_on_every_path_in_the_callers_dialect_before_its_body_is_read() -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        for path in ("/v1/models", "/v1/chat/completions", "/nothing", "/docs", "/openapi.json"):
            refused = await status(service, path, "evil.example")
            assert refused.status_code == 421
            assert refused.json()["error"]["code"] == "misdirected_request"
            assert refused.headers["x-should-retry"] == "false"
        for path in ("/v1/streams/x", "/v1/stages", "/v1/providers", *PROBES):
            refused = await status(service, path, "evil.example")
            assert (refused.status_code, refused.json()["code"]) == (421, "misdirected_request")
            assert "evil" not in refused.text
        for method in ("POST", "DELETE", "OPTIONS", "PUT", "HEAD"):
            assert (await status(service, "/v1/streams", "evil.example", method)).status_code == 421
        for path in PROBES:
            assert (await status(service, path, "10.1.2.3:8000")).status_code == 200
        assert (await status(service, "/v1/models", "10.1.2.3:8000")).status_code == 421
        for host in ("localhost", f"127.0.0.1:{service.port}", "[::1]"):
            assert (await status(service, "/v1/models", host)).status_code == 200
        unread = b"POST /v1/streams HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000\r\n\r\n"
        assert (await exchange(service, unread)).startswith(b"HTTP/1.1 421 ")
        assert provider.calls == 0


async def exchange(service: Running, request: bytes) -> bytes:
    """The beginning of the answer to what a raw socket sends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(1000), 5)
    writer.close()
    return answer


async def test_g10_hosts_that_were_named_are_answered_and_with_a_key_all_are() -> None:
    async with running({"HEADGATE_ALLOWED_HOSTS": "gate.example, fd00::1"}) as service:
        for host, expected in (("gate.example:80", 200), ("[fd00::1]", 200), ("other.example", 421)):
            assert (await status(service, "/v1/models", host)).status_code == expected
    async with running({"HEADGATE_ALLOWED_HOSTS": "*"}) as service:
        assert (await status(service, "/v1/models", "any.example")).status_code == 200
    async with running() as service:
        assert (await status(service, "/v1/models", "evil.example")).status_code == 421
        service.container.callers().replace([ApiKey("acme", "ab" * 32, "acme", "default")])
        assert (await status(service, "/v1/models", "evil.example")).status_code == 401
        foreign = await status(service, "/v1/streams", "evil.example", "POST", Origin="http://evil.example")
        assert foreign.status_code == 401


async def ask(environ: Mapping[str, str], peer: str, host: str, *, told: bool = False) -> int:
    app = build_app(Container(settings=get_settings(environ)), allow_anonymous=told)[0]
    transport = httpx.ASGITransport(app, client=(peer, 5))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        return (await client.get("/v1/models")).status_code


async def test_g10_open_to_the_network_means_by_address_and_by_the_names_that_were_given() -> None:
    peer, told = "203.0.113.7", {"HEADGATE_ALLOW_ANONYMOUS": "true"}
    for host, expected in (("10.0.0.1", 200), ("[fd00::1]", 200), ("localhost", 200), ("headgate", 421)):
        assert await ask(told, peer, host) == expected
        assert await ask({}, peer, host, told=True) == expected
    assert await ask({**told, "HEADGATE_ALLOWED_HOSTS": "headgate"}, peer, "headgate") == 200


async def test_g10_a_request_without_a_host_has_no_name_to_be_taken_for() -> None:
    async with running() as service:
        assert (await exchange(service, b"GET /v1/models HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


OWN: list[dict[str, str]] = [
    {},
    {"Origin": "http://127.0.0.1:{port}"},
    {"Origin": "HTTP://127.0.0.1:{port}"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:{port}"},
    {"Origin": "https://gate.example"},
]
OTHERS: list[dict[str, str]] = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},
    {"Origin": "127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:{port}.evil.example"},
    {"Origin": "http://127.0.0.1:{port}@evil.example"},
    {"Origin": "chrome-extension://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:{port} http://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "Same-Origin"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:{port}"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    {"Origin": "https://gate.example", "Sec-Fetch-Site": "cross-site"},
]


async def test_g10_a_foreign_page_changes_nothing_and_ones_own_may_36() -> None:
    provider = demo()
    async with running({"HEADGATE_ALLOWED_HOSTS": "gate.example"}, llm={"demo": provider}) as service:

        def filled(given: Mapping[str, str]) -> dict[str, str]:
            return {name: value.format(port=service.port) for name, value in given.items()}

        for given in OTHERS:
            for method, path in (
                ("POST", "/v1/streams"),
                ("POST", "/v1/chat/completions"),
                ("POST", "/v1/providers/demo/demo/breaker"),
                ("DELETE", "/v1/streams/x"),
                ("PUT", "/v1/streams"),
                ("PATCH", "/nothing"),
            ):
                content = json.dumps(BODY).encode()
                refused = await service.client.request(method, path, content=content, headers={**JSON, **filled(given)})
                assert refused.status_code == 403, (given, method, path)
                assert "forbidden_origin" in refused.text
                assert "evil" not in refused.text
                assert refused.headers["x-should-retry"] == "false"
            # To read is no change: what a page may see of it, its browser decides.
            seen = await service.client.get("/v1/models", headers=filled(given))
            assert seen.status_code == 200
            assert not [name for name in seen.headers if name.startswith("access-control-")]
        assert provider.calls == 0
        for number, given in enumerate(OWN):
            body = {**BODY, "prompt": f"{number}"}
            mine = await service.client.post("/v1/streams", json=body, headers=filled(given))
            assert mine.status_code == 200, given


async def test_the_example_in_the_pages_of_the_service_itself_works_g10() -> None:
    async with running() as service:
        assert (await service.client.get("/docs", headers={"Sec-Fetch-Site": "none"})).status_code == 200
        page = {"Origin": f"http://127.0.0.1:{service.port}", "Sec-Fetch-Site": "same-origin"}
        assert (await service.client.post("/v1/streams", json={"prompt": "hi"}, headers=page)).status_code == 200


async def test_a_preflight_gets_no_grant_36() -> None:
    async with running() as service:
        for origin in ("null", "http://evil.example", f"http://127.0.0.1:{service.port}"):
            for path in ("/v1/streams", "/v1/chat/completions", "/v1/streams/x", "/v1/models", "/metrics"):
                asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
                told = await service.client.options(path, headers=asked)
                assert (told.status_code, told.content) == (204, b"")
                assert not [name for name in told.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("value", ["a b", "http://a", "a:80", "a/b", "*.a", "é.example", "-a", ":1", "[::1", "a,,b?"])
def test_what_is_no_host_is_no_setting(value: str) -> None:
    with pytest.raises(ConfigurationError, match="HEADGATE_ALLOWED_HOSTS"):
        get_settings({"HEADGATE_ALLOWED_HOSTS": value})


def test_the_setting_is_a_list_of_hosts() -> None:
    settings = get_settings({"HEADGATE_ALLOWED_HOSTS": " a.example,,10.0.0.5 , ::1,[fd00::1],*,a_b"})
    assert settings.access.host_names == ("a.example", "10.0.0.5", "::1", "[fd00::1]", "*", "a_b")
