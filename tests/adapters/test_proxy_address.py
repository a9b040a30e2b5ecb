"""Proxies: their addresses, and which one the environment names, as curl reads it (kind 15)."""

import pytest

from adapters.proxy_address import ProxyAddress, excepted, proxy_variable


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy:3128", (False, "proxy", 3128, None)),
        ("proxy:3128", (False, "proxy", 3128, None)),
        ("http://proxy", (False, "proxy", 80, None)),
        ("https://proxy/", (True, "proxy", 443, None)),
        ("http://joe:p%40ss@[::1]:8080", (False, "::1", 8080, "Basic am9lOnBAc3M=")),
        ("http://joe@proxy", (False, "proxy", 80, "Basic am9lOg==")),
    ],
)
def test_an_address(url: str, expected: tuple[object, ...]) -> None:
    one = ProxyAddress.parse(url)
    assert (one.secure, one.host, one.port, one.authorization) == expected
    assert "p@ss" not in repr(one)
    assert (one.user is None) is (one.secrets == ())


@pytest.mark.parametrize(
    "url",
    ["socks5://proxy:1080", "http://", "http://p:0", "http://p:99999", "http://p/x", "http://p?q", "http://p#f", "http://[",
     "http://p\r\nX: y", "http://ü", "http://a%0d%0ab:c@p", "http://a%3ab:c@p", "ftp://p"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError):
        ProxyAddress.parse(url)


@pytest.mark.parametrize(
    ("url", "environ", "name"),
    [
        ("https://a.example/v1", {"HTTPS_PROXY": "p"}, "HTTPS_PROXY"),
        ("https://a.example/v1", {"HTTPS_PROXY": "p", "https_proxy": "q"}, "https_proxy"),
        ("https://a.example/v1", {"HTTP_PROXY": "p"}, None),
        ("http://a.example/v1", {"HTTP_PROXY": "p"}, "HTTP_PROXY"),
        ("http://a.example/v1", {"http_proxy": "p"}, "http_proxy"),
        ("http://a.example/v1", {"ALL_PROXY": "p"}, "ALL_PROXY"),
        ("https://a.example/v1", {"ALL_PROXY": "p", "HTTPS_PROXY": "q"}, "HTTPS_PROXY"),
        ("http://127.0.0.1:8001/v1", {"HTTP_PROXY": "p"}, "HTTP_PROXY"),
        ("http://127.0.0.1:8001/v1", {"HTTP_PROXY": "p", "NO_PROXY": "127.0.0.0/8"}, None),
        ("https://a.example/v1", {"HTTPS_PROXY": "p", "no_proxy": "example"}, None),
        ("https://a.example/v1", {"HTTPS_PROXY": "p", "NO_PROXY": "*"}, None),
        ("not a url", {"HTTPS_PROXY": "p"}, None),
        ("https://[", {"HTTPS_PROXY": "p"}, None),
        ("https://a:99999", {"HTTPS_PROXY": "p"}, None),
    ],
)
def test_the_environment_names_a_proxy(url: str, environ: dict[str, str], name: str | None) -> None:
    assert proxy_variable(url, environ) == name


@pytest.mark.parametrize(
    ("host", "exceptions", "expected"),
    [
        ("a.example", "a.example", True),
        ("A.Example.", "a.example", True),
        ("b.a.example", "a.example", True),
        ("b.a.example", ".a.example", True),
        ("b.a.example", "*.a.example", True),
        ("a.example", ".a.example", True),
        ("ba.example", "a.example", False),
        ("a.example", "b.example, a.example", True),
        ("a.example", "b.example a.example", True),
        ("a.example", "a.example:443", True),
        ("a.example", "a.example:80", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "2.3", False),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("::1", "[::1]", True),
        ("::1", "[::1]:443", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("fd00::1", "fd00::/8", True),
        ("a.example", "10.0.0.0/8", False),
        ("a.example", "nonsense/8", False),
        ("a.example", "", False),
        ("a.example", ",. *x", False),
        ("localhost", "", False),
    ],
)
def test_exceptions(host: str, exceptions: str, expected: bool) -> None:
    assert excepted(host, 443, exceptions) is expected
