"""How a provider's row says that it is reached: read, checked before the port opens, never shown (kind 15)."""

import re
from pathlib import Path

import pytest

from adapters.settings import Settings, get_settings
from adapters.settings_report import settings_report, settings_warnings
from domain.errors import ConfigurationError
from tests.adapters.test_upstream_tls import PEM

AZURE = """
[providers.azure]
kind = "openai"
base_url = "https://acme.openai.azure.com/openai/deployments/gpt-4o"
api_key = "env:AZURE_KEY"
api_key_header = "api-key"
query = { api-version = "2024-10-21", sig = "env:AZURE_SIG" }
headers = { X-Team = "env:TEAM", OpenAI-Organization = "org-1" }
proxy = "env:CORP_PROXY"
"""
SECRETS = {
    "AZURE_KEY": "planted-key",
    "AZURE_SIG": "planted-sig",
    "TEAM": "planted-team",
    "CORP_PROXY": "http://joe:planted-pass@proxy.corp:3128",
}


def read(tmp_path: Path, text: str, **environ: str) -> Settings:
    config = tmp_path / "headgate.toml"
    config.write_text(text)
    return get_settings({"HEADGATE_CONFIG": str(config), **environ})


def problems(tmp_path: Path, row: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, f'[providers.p]\nkind = "openai"\nbase_url = "https://h/v1"\n{row}', **environ)
    assert raised.value.__cause__ is None
    return raised.value.message.splitlines()


def test_a_row_for_azure_with_every_secret_in_the_environment(tmp_path: Path) -> None:
    settings = read(tmp_path, AZURE, **SECRETS)
    row = settings.providers["azure"]
    assert row.options == {
        "base_url": "https://acme.openai.azure.com/openai/deployments/gpt-4o",
        "api_key": "planted-key",
        "api_key_header": "api-key",
        "query": {"api-version": "2024-10-21", "sig": "planted-sig"},
        "headers": {"X-Team": "planted-team", "OpenAI-Organization": "org-1"},
        "proxy": "http://joe:planted-pass@proxy.corp:3128",
    }
    assert "planted" not in repr(row) + repr(settings)
    environ = {"HEADGATE_CONFIG": str(tmp_path / "headgate.toml"), **SECRETS}
    assert "planted" not in "\n".join(settings_report(settings, {}, environ))


def test_each_reference_that_is_not_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, AZURE)
    takes = "which is not set; takes env:NAME or the value itself"
    assert raised.value.message.splitlines()[:5] == [
        "providers.azure.api_key: got env:AZURE_KEY, which is not set; takes env:NAME or the key itself",
        f"providers.azure.query.sig: got env:AZURE_SIG, {takes}",
        f"providers.azure.headers.X-Team: got env:TEAM, {takes}",
        f"providers.azure.proxy: got env:CORP_PROXY, {takes}",
        "providers.azure.api_key_header: got a header and no api_key; takes the key that goes there",
    ]


PROXY = "takes an http:// or https:// address, with a user and a password or without"
PEM_FILE = "takes the path of a file of certificates in PEM"


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        ('headers = { Host = "x" }',
         ["providers.p.headers.Host: got a header that is Headgate's own to set; takes other headers"]),
        ('headers = { "a b" = "x" }',
         ['providers.p.headers."a b": got text that is no name of a header; takes other headers']),
        ('headers = { A = "planted\\r\\nB: c" }',
         ["providers.p.headers.A: got a value that is not one line of plain ASCII; takes one line of plain ASCII"]),
        ('headers = { A = "" }',
         ["providers.p.headers.A: got a value that is empty, longer than 8192 characters or has spaces around it; "
          "takes one line of plain ASCII"]),
        ('headers = { A = "x", a = "y" }', ["providers.p.headers.a: got this header twice; takes each once"]),
        ("headers = { A = 7 }", ["providers.p.headers.A: got ****; takes text"]),
        ('headers = "planted"',
         ["providers.p.headers: got ****; takes a table of headers for each request, env:NAME or text"]),
        ("query = { q = 1 }", ["providers.p.query.q: got ****; takes text"]),
        ('query = { q = "planted\\n" }',
         ["providers.p.query.q: got ****; takes printable text of at most 2048 characters"]),
        ('api_key = "k"\napi_key_header = "host"',
         ["providers.p.api_key_header: got a header that is Headgate's own to set; "
          "takes the name of a header, as api-key"]),
        ('api_key = "k"\napi_key_header = "X-Key"\nheaders = { x-key = "v" }',
         ["providers.p.api_key_header: got a header that headers has too; takes each once"]),
        ('proxy = "socks5://planted:1080"', [f"providers.p.proxy: got ****; {PROXY}"]),
        ('proxy = ""', [f"providers.p.proxy: got ****; {PROXY}"]),
        ('ca_file = "/no/such.pem"', [f"providers.p.ca_file: got '/no/such.pem', which cannot be read; {PEM_FILE}"]),
        ('ca_file = "/dev/null"', [f"providers.p.ca_file: got '/dev/null', which holds no certificate; {PEM_FILE}"]),
        ('ca_file = "x"\nverify = false',
         ["providers.p.ca_file: got a file and verify = false, which trusts anybody; takes one of the two"]),
        ('verify = "no way"', ["providers.p.verify: got 'no way'; takes true or false"]),
    ],
)  # fmt: skip
def test_one_line_names_the_row_and_the_field_and_shows_no_secret(tmp_path: Path, row: str, lines: list[str]) -> None:
    assert problems(tmp_path, row) == lines


def test_a_certificate_is_read_when_the_settings_are(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    text = f'[providers.p]\nkind = "openai"\nbase_url = "https://h/v1"\nca_file = "{tmp_path / "ca.pem"}"'
    assert read(tmp_path, text).providers["p"].options["ca_file"] == str(tmp_path / "ca.pem")


def test_who_does_not_check_certificates_is_warned(tmp_path: Path) -> None:
    text = '[providers.p]\nkind = "openai"\nbase_url = "https://h/v1"\nverify = false'
    assert read(tmp_path, text).providers["p"].options["verify"] is False
    (warning,) = settings_warnings({"HEADGATE_CONFIG": str(tmp_path / "headgate.toml")})
    assert warning.startswith("providers.p.verify is false: ")


def test_the_environment_names_a_proxy_where_the_row_names_none(tmp_path: Path) -> None:
    text = """
    [providers.a]
    kind = "openai"
    base_url = "https://a.example/v1"
    [providers.b]
    kind = "anthropic"
    base_url = "https://b.internal"
    [providers.c]
    kind = "openai"
    base_url = "http://c.example/v1"
    proxy = "http://own:1"
    [providers.demo]
    kind = "demo"
    """
    environ = {
        "HTTPS_PROXY": "http://corp:3128",
        "NO_PROXY": ".internal",
        "OPENAI_API_KEY": "k",
        "http_proxy": "corp:1",
    }
    settings = read(tmp_path, text, **environ)
    proxies = {name: row.options.get("proxy") for name, row in settings.providers.items()}
    assert proxies == {
        "openai": "http://corp:3128",
        "a": "http://corp:3128",
        "b": None,
        "c": "http://own:1",
        "demo": None,
    }


def test_a_proxy_of_the_environment_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path, "", ALL_PROXY="socks5://planted:1") == [f"ALL_PROXY: got ****; {PROXY}"]


def test_other_adapters_options_may_be_references_too(tmp_path: Path) -> None:
    text = '[providers.x]\nkind = "other"\ntoken = "env:TOKEN"\n[providers.x.more]\ndeep = "env:TOKEN"\nn = 1'
    row = read(tmp_path, text, TOKEN="planted").providers["x"]
    assert row.options == {"token": "planted", "more": {"deep": "planted", "n": 1}}
    assert "planted" not in repr(row)


def test_the_example_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "providers.md").read_text("utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ca_file = tmp_path / "corp.pem"
    ca_file.write_text(PEM)
    environ = dict.fromkeys(re.findall(r"env:(\w+)", example), "planted")
    settings = read(tmp_path, example.replace("/etc/ssl/corp.pem", str(ca_file)), **environ)
    assert set(settings.providers) == {"azure", "azure-gpt-4o", "corporate"}
