"""How a provider is reached: what its row says beside its address and key."""

import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pydantic import SecretStr

from adapters.proxy_address import ProxyAddress
from adapters.request_headers import name_problem, value_problem
from domain.errors import ConfigurationError

NONE: Mapping[str, str] = MappingProxyType({})
FORM = MappingProxyType({"Content-Type": "application/json", "Accept": "text/event-stream, application/json"})
"""The headers of every request for an answer."""


class Network(NamedTuple):
    """`headers` and `query` go with each request, through `proxy`. TLS trusts `ca_file` alone if it is there, anybody
    without `verify`. `repr` shows nothing: any of it may be a secret."""

    headers: Mapping[str, str] = NONE
    query: Mapping[str, str] = NONE
    proxy: ProxyAddress | None = None
    ca_file: str | None = None
    verify: bool = True

    @classmethod
    def of(
        cls,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        proxy: str | None,
        ca_file: str | None,
        *,
        verify: bool,
    ) -> "Network":
        """As an adapter's constructor is given it. Raises `ConfigurationError` for a proxy that is none."""
        try:
            address = None if proxy is None else ProxyAddress.parse(proxy)
        except ValueError:
            raise ConfigurationError("proxy takes the address of an HTTP proxy.") from None
        return cls(headers or NONE, query or NONE, address, ca_file, verify)

    def tls(self) -> ssl.SSLContext:
        """Raises `ConfigurationError` if the file of certificates cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            raise ConfigurationError("ca_file takes a file of certificates in PEM.") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def __repr__(self) -> str:
        return "Network(...)"


DIRECT = Network()


def keyed(fields: Mapping[str, str], key: SecretStr | str | None, header: str | None, own: str) -> dict[str, str]:
    """The headers with the key: as it is in `header`, else where the vendor wants it, `own`."""
    if key is None:
        return dict(fields)
    text = key.get_secret_value() if isinstance(key, SecretStr) else key
    name = header or own
    return {**fields, name: f"Bearer {text}" if header is None and own == "Authorization" else text}


def checked(own: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """All headers; those of the configuration count more, whatever the case of their names.

    Raises `ConfigurationError` for one that may not be sent.
    """
    for name, value in more.items():
        if (problem := name_problem(name)) is not None:
            raise ConfigurationError(f"headers has {name!a}, {problem}.")
        if (problem := value_problem(value)) is not None:
            raise ConfigurationError(f"headers.{name} has {problem}.")
    named = {name.lower() for name in more}
    fields = {**{name: value for name, value in own.items() if name.lower() not in named}, **more}
    for name, value in fields.items():
        if not value.isascii() or not value.isprintable():
            raise ConfigurationError(f"The header {name} to the provider must be one line of plain ASCII.")
    return fields
