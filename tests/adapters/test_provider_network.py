"""Providers on real networks: headers, query, proxies and certificates, over sockets (kind 15, P2, P3)."""

import asyncio
import json
import socket
import ssl
from pathlib import Path

import pytest
import uvloop
from httptools import parse_url

from adapters.providers.anthropic import AnthropicProvider
from adapters.providers.attempt import Attempt
from adapters.providers.gemini import GeminiProvider
from adapters.providers.network import Network
from adapters.providers.openai import OpenAIProvider
from adapters.providers.upstream import Upstream
from adapters.proxy_address import ProxyAddress
from domain.errors import (
    ConfigurationError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from domain.model import CompletionRequest, Message
from tests.adapters.test_upstream_tls import PEM
from tests.scripted_upstream import Asked, Reply, said, streamed, upstream

ASK = CompletionRequest("m", [Message("user", "hi")])
CHUNK = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
ATTEMPT = Attempt("p", "t")
PROXY_USER = "Basic am9lOnNlY3JldA=="


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    path = tmp_path / "localhost.pem"
    path.write_text(PEM)
    return str(path)


def serving_tls(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def answer(provider: OpenAIProvider) -> str:
    try:
        async with provider.stream(ASK, "m", "t") as batches:
            return "".join([delta.text async for batch in batches for delta in batch])
    finally:
        await provider.aclose()


async def get(one: Upstream) -> bytes:
    try:
        async with one.get("/models", ATTEMPT) as response:
            return await response.read()
    finally:
        await one.aclose()


async def test_azure_is_a_row() -> None:
    """Its deployment in the path, `api-version` in the query, the key in a header of its own."""
    async with upstream(streamed(CHUNK)) as azure:
        provider = OpenAIProvider(
            "azure",
            f"http://127.0.0.1:{azure.port}/openai/deployments/gpt-4o",
            "azure-key",
            api_key_header="api-key",
            query={"api-version": "2024-10-21"},
            headers={"X-Team": "red"},
        )
        assert await answer(provider) == "hi"
    (asked,) = azure.asked
    assert asked.target == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    assert (asked.headers["api-key"], asked.headers["x-team"]) == ("azure-key", "red")
    assert "authorization" not in asked.headers


async def test_a_header_of_the_row_counts_more_whatever_its_case() -> None:
    async with upstream(streamed(CHUNK)) as one:
        provider = OpenAIProvider("p", one.url, headers={"accept": "*/*", "AUTHORIZATION": "Token x"})
        await answer(provider)
    assert (one.asked[0].headers["accept"], one.asked[0].headers["authorization"]) == ("*/*", "Token x")


async def test_a_query_is_joined_and_quoted() -> None:
    async with upstream(Reply(body=b'{"models": []}')) as one:
        provider = GeminiProvider("p", one.url, "k", query={"a b": "c&d=/é"})
        await provider.list_models()
        await provider.aclose()
    assert one.asked[0].target == "/v1/models?pageSize=1000&a%20b=c%26d%3D%2F%C3%A9"
    parse_url(one.asked[0].target.encode())


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "connection", "a b", "a:b", "", "é"])
def test_headers_that_may_not_be_set(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Upstream("http://h", {}, Network(headers={name: "x"}))


@pytest.mark.parametrize("value", ["", " x", "a\r\nb: c", "a\nb", "é", "x" * 9000, "a\0b"])
def test_values_that_no_header_has(value: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Upstream("http://h", {}, Network(headers={"X-A": value}))
    assert not value.strip() or value not in raised.value.message


async def test_http_goes_through_a_proxy_by_its_whole_address() -> None:
    async with upstream(streamed(CHUNK)) as proxy:
        url = f"http://joe:secret@127.0.0.1:{proxy.port}"
        assert await answer(OpenAIProvider("p", "http://llm.example:8001/v1", "key", proxy=url)) == "hi"
    (asked,) = proxy.asked
    assert asked.target == "http://llm.example:8001/v1/chat/completions"
    assert asked.headers["host"] == "llm.example:8001"
    assert (asked.headers["proxy-authorization"], asked.headers["authorization"]) == (PROXY_USER, "Bearer key")


@pytest.mark.parametrize("own_loop", [False, True])
def test_https_goes_through_a_tunnel(certificate: str, own_loop: bool) -> None:
    """The proxy sees the host alone: neither the key nor the request; and the provider nothing of the proxy's user."""

    async def run() -> None:
        async with (
            upstream(streamed(CHUNK), tls=serving_tls(certificate)) as origin,
            upstream(Reply(), behind=origin.port) as proxy,
        ):
            url = f"http://joe:secret@127.0.0.1:{proxy.port}"
            base_url = f"https://localhost:{origin.port}/v1"
            provider = OpenAIProvider("p", base_url, "key", proxy=url, ca_file=certificate)
            assert await answer(provider) == "hi"
        (connected,), (asked,) = proxy.asked, origin.asked
        assert (connected.method, connected.target) == ("CONNECT", f"localhost:{origin.port}")
        assert connected.headers == {"host": f"localhost:{origin.port}", "proxy-authorization": PROXY_USER}
        assert (asked.target, asked.headers["authorization"]) == ("/v1/chat/completions", "Bearer key")
        assert "proxy-authorization" not in asked.headers

    if own_loop:
        uvloop.run(run())
    else:
        asyncio.run(run())


async def test_through_a_tunnel_too_the_certificate_must_be_the_hosts(certificate: str) -> None:
    async with (
        upstream(streamed(CHUNK), tls=serving_tls(certificate)) as origin,
        upstream(Reply(), behind=origin.port) as proxy,
    ):
        network = Network(proxy=ProxyAddress(secure=False, host="127.0.0.1", port=proxy.port), ca_file=certificate)
        with pytest.raises(ProviderConnectionError) as raised:  # it is for localhost
            await get(Upstream(f"https://llm.example:{origin.port}/v1", {}, network))
    assert raised.value.details["cause"] == "SSLCertVerificationError"
    assert origin.asked == []


async def test_a_proxy_that_speaks_tls_itself(certificate: str) -> None:
    async with (
        upstream(streamed(CHUNK), tls=serving_tls(certificate)) as origin,
        upstream(Reply(), tls=serving_tls(certificate), behind=origin.port) as proxy,
    ):
        network = Network(proxy=ProxyAddress(secure=True, host="localhost", port=proxy.port), ca_file=certificate)
        assert b"data" in await get(Upstream(f"https://localhost:{origin.port}/v1", {}, network))


@pytest.mark.parametrize("reply", [Reply(407), Reply(502), Reply(200, b"too much")])
async def test_a_proxy_that_opens_no_way(certificate: str, reply: Reply) -> None:
    async with upstream(reply) as proxy:
        network = Network(proxy=ProxyAddress(secure=False, host="127.0.0.1", port=proxy.port), ca_file=certificate)
        with pytest.raises(ProviderConnectionError) as raised:
            await get(Upstream("https://llm.example/v1", {}, network))
    assert raised.value.details["proxy_status"] == reply.status
    assert "llm.example" not in repr(raised.value)


async def test_the_407_of_a_proxy_is_no_fault_of_the_caller() -> None:
    async with upstream(said(407, message="planted")) as proxy:
        with pytest.raises(ProviderAuthenticationError):
            await answer(OpenAIProvider("p", "http://llm.example/v1", proxy=f"http://127.0.0.1:{proxy.port}"))


async def test_a_file_of_certificates_is_trusted_alone_and_without_verify_anybody(certificate: str) -> None:
    async with upstream(streamed(CHUNK), tls=serving_tls(certificate)) as one:
        base_url = f"https://localhost:{one.port}/v1"
        with pytest.raises(ProviderConnectionError):
            await answer(OpenAIProvider("p", base_url))
        assert await answer(OpenAIProvider("p", base_url, ca_file=certificate)) == "hi"
        by_address = f"https://127.0.0.1:{one.port}/v1"
        with pytest.raises(ProviderConnectionError):  # the certificate is for localhost
            await answer(OpenAIProvider("p", by_address, ca_file=certificate))
        assert await answer(OpenAIProvider("p", by_address, verify=False)) == "hi"


def test_a_file_that_is_none_is_told_when_the_provider_is_made(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for path in (tmp_path / "away.pem", tmp_path / "empty.pem"):
        with pytest.raises(ConfigurationError):
            AnthropicProvider("p", "https://h", ca_file=str(path))
    with pytest.raises(ConfigurationError):
        GeminiProvider("p", "https://h", proxy="socks5://h")


def test_nothing_of_it_is_shown() -> None:
    proxy = ProxyAddress(secure=False, host="h", port=1, user="u", password="planted")
    assert "planted" not in repr(Network({"a": "planted"}, {"b": "planted"}, proxy))


# --- lists of models


def paged(asked: Asked) -> Reply:
    pages: dict[str, object] = {
        "/v1/models?limit=1000": {"data": [{"id": "claude-b"}, {"id": 7}, 3], "has_more": True, "last_id": "b/1"},
        "/v1/models?limit=1000&after_id=b%2F1": {"data": [{"id": "claude-a"}], "has_more": False, "last_id": "a"},
        "/models?pageSize=1000": {
            "models": [
                {"name": "models/gemini-x", "supportedGenerationMethods": ["generateContent", "countTokens"]},
                {"name": "models/embedding", "supportedGenerationMethods": ["embedContent"]},
            ],
            "nextPageToken": "t=",
        },
        "/models?pageSize=1000&pageToken=t%3D": {
            "models": [{"name": "models/gemini-y", "supportedGenerationMethods": ["generateContent"]}]
        },
        "/models": {"object": "list", "data": [{"id": "org/model-1"}, {"id": "m"}]},
    }
    page = pages.get(asked.target)
    return said(404) if page is None else Reply(body=json.dumps(page).encode())


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (OpenAIProvider, ["org/model-1", "m"]),
        (AnthropicProvider, ["claude-b", "claude-a"]),
        (GeminiProvider, ["gemini-x", "gemini-y"]),
    ],
)
async def test_each_kind_lists_its_models_page_by_page(
    kind: type[OpenAIProvider | AnthropicProvider | GeminiProvider], names: list[str]
) -> None:
    async with upstream(paged) as one:
        provider = kind("p", f"http://127.0.0.1:{one.port}", "key")
        assert await provider.list_models() == names
        await provider.aclose()
    assert {asked.method for asked in one.asked} == {"GET"}
    assert all("key" in str(asked.headers) and "key" not in asked.target for asked in one.asked)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (said(401), ProviderAuthenticationError),
        (Reply(body=b"[]"), ProviderResponseError),
        (Reply(body=b"<html>"), ProviderResponseError),
        (Reply(body=b"x" * (5 << 20)), ProviderResponseError),
        (Reply(302), ProviderResponseError),
    ],
)
async def test_a_list_that_is_none(reply: Reply, error: type[ProviderError]) -> None:
    async with upstream(reply) as one:
        provider = OpenAIProvider("p", one.url)
        with pytest.raises(error):
            await provider.list_models()
        await provider.aclose()


async def test_a_list_without_end_is_cut() -> None:
    endless = Reply(body=json.dumps({"data": [{"id": "m"}], "has_more": True, "last_id": "m"}).encode())
    async with upstream(endless) as one:
        provider = AnthropicProvider("p", f"http://127.0.0.1:{one.port}")
        assert len(await provider.list_models()) == 10
        await provider.aclose()


async def test_a_proxy_that_is_silent_is_a_timeout(certificate: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, and nobody says anything
        proxy = ProxyAddress(secure=False, host="127.0.0.1", port=silent.getsockname()[1])
        network = Network(proxy=proxy, ca_file=certificate)
        with pytest.raises(ProviderTimeoutError):
            await get(Upstream("https://llm.example/v1", {}, network, connect_timeout=0.2))
