"""What can be wrong with how a provider's row says that it is reached: headers, query, proxy, certificates."""

import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from adapters.proxy_address import ProxyAddress
from adapters.request_headers import name_problem, value_problem
from adapters.settings_problems import MASK, Path, Problem

if TYPE_CHECKING:
    from adapters.settings_rows import ProviderRow

MAX_QUERY_LENGTH = 2048
_PROXY = "takes an http:// or https:// address, with a user and a password or without"
_PEM = "takes the path of a file of certificates in PEM"


def network_problems(name: str, row: "ProviderRow") -> Iterator[Problem]:
    """What is wrong, each with its path. No value is shown: any of them may be a secret."""
    at: Path = ("providers", name)
    headers = row.headers or {}
    for header, value in headers.items():
        if (problem := name_problem(header)) is not None:
            yield Problem((*at, "headers", header), f"got {problem}; takes other headers")
        elif (problem := value_problem(value.get_secret_value())) is not None:
            yield Problem((*at, "headers", header), f"got {problem}; takes one line of plain ASCII")
    named = [header.lower() for header in headers]
    yield from (
        Problem((*at, "headers", one), "got this header twice; takes each once")
        for one in sorted({one for one in named if named.count(one) > 1})
    )
    if row.api_key_header is not None:
        if (problem := name_problem(row.api_key_header)) is not None:
            yield Problem((*at, "api_key_header"), f"got {problem}; takes the name of a header, as api-key")
        if row.api_key is None:
            yield Problem((*at, "api_key_header"), "got a header and no api_key; takes the key that goes there")
        elif row.api_key_header.lower() in named:
            yield Problem((*at, "api_key_header"), "got a header that headers has too; takes each once")
    yield from _query_problems(at, row.query or {})
    if row.proxy is not None and not _is_proxy(row.proxy):
        yield Problem((*at, "proxy"), f"got {MASK}; {_PROXY}")
    if row.ca_file is not None:
        if not row.verify:
            yield Problem((*at, "ca_file"), "got a file and verify = false, which trusts anybody; takes one of the two")
        elif (problem := _ca_problem(row.ca_file)) is not None:
            yield Problem((*at, "ca_file"), f"got {problem}; {_PEM}")


def _query_problems(at: Path, query: Mapping[str, SecretStr]) -> Iterator[Problem]:
    for key, value in query.items():
        text = value.get_secret_value()
        if not key or not f"{key}{text}".isprintable() or len(key) + len(text) > MAX_QUERY_LENGTH:
            takes = f"takes printable text of at most {MAX_QUERY_LENGTH} characters"
            yield Problem((*at, "query", key), f"got {MASK}; {takes}")


def _is_proxy(proxy: SecretStr) -> bool:
    try:
        ProxyAddress.parse(proxy.get_secret_value())
    except ValueError:
        return False
    return True


def _ca_problem(path: str) -> str | None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return f"{path!a}, which holds no certificate"
    except (OSError, ValueError):
        return f"{path!a}, which cannot be read"
    return None
