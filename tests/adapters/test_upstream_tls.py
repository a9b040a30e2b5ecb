"""TLS to a provider: its certificate and its name are checked."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.providers.attempt import Attempt
from adapters.providers.upstream import Upstream
from domain.errors import ProviderConnectionError

# Made for this test, for `localhost`, good until 2126; it guards nothing.
PEM = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIGERD2w1Khk7PeqD2pRa1UDHJpfgFOiokasUE7p1uHnIoAoGCCqGSM49
AwEHoUQDQgAEkkMOM39RbNv9iwtvzRMv7zUiWJZsuzkdv/etz/rfhZmEgdkuJ8T5
ZNIdBN3qhr2YdKWR6fYs55h06OyIlcC5Jg==
-----END EC PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBnjCCAUOgAwIBAgIUYx1sOVcPhJ/YulyNVFHxTlmLcxwwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNaGVhZGdhdGUgdGVzdDAgFw0yNjExMjIyMzI0NDhaGA8yMTI2
MTAyOTIzMjQ0OFowGDEWMBQGA1UEAwwNaGVhZGdhdGUgdGVzdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABJJDDjN/UWzb/YsLb80TL+81IliWbLs5Hb/3rc/634WZ
hIHZLifE+WTSHQTd6oa9mHSlken2LOeYdOjsiJXAuSajaTBnMB0GA1UdDgQWBBTv
gkJn2HkFEoIzMRLPVeMglwjUODAfBgNVHSMEGDAWgBTvgkJn2HkFEoIzMRLPVeMg
lwjUODAPBgNVHRMBAf8EBTADAQH/MBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAKBggq
hkjOPQQDAgNJADBGAiEA2OPXy+6ML35aqlK8fCISUs7yTlPjzF81F8HsIX2DVwAC
IQD8KnFGSgWzNepFtoEm2KTW2B9MHYbssRESismC4P+Cmw==
-----END CERTIFICATE-----
"""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "localhost.pem"
    path.write_text(PEM)
    return path


@asynccontextmanager
async def serving(certificate: Path) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    closed = asyncio.Event()
    closed.set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closed.clear()
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        await reader.read()
        writer.close()
        closed.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.wait_for(closed.wait(), 2)


async def fetch(upstream: Upstream) -> bytes:
    async with upstream.post("/x", b"", Attempt("local", "thread-1")) as response:
        return await response.read()


async def test_a_certificate_that_is_trusted_for_the_name(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(certificate) as port:
        upstream = Upstream(f"https://localhost:{port}/v1", {})
        assert [await fetch(upstream), await fetch(upstream)] == [b"hello", b"hello"]
        assert upstream.idle == 1
        await upstream.aclose()


async def test_p2_a_certificate_for_another_name_gets_no_request(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(certificate) as port:
        with pytest.raises(ProviderConnectionError) as caught:
            await fetch(Upstream(f"https://127.0.0.1:{port}/v1", {}))
    assert caught.value.details["cause"] == "SSLCertVerificationError"


async def test_p2_a_certificate_that_nobody_vouches_for_gets_no_request(certificate: Path) -> None:
    async with serving(certificate) as port:
        with pytest.raises(ProviderConnectionError) as caught:
            await fetch(Upstream(f"https://localhost:{port}/v1", {}))
    assert caught.value.details["cause"] == "SSLCertVerificationError"
