"""An HTTP proxy's address, and which proxy the environment names for a URL."""

import base64
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class ProxyAddress(NamedTuple):
    """Where a proxy listens. `repr` hides who Headgate is to it."""

    secure: bool
    """Whether it is spoken to over TLS."""
    host: str
    port: int
    user: str | None = None
    password: str = ""

    @classmethod
    def parse(cls, url: str) -> "ProxyAddress":
        """The address in a URL, http:// if it has no scheme. Raises `ValueError`."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            raise ValueError("not the address of an HTTP proxy")
        if parts.path not in {"", "/"} or parts.query or parts.fragment or not url.isascii() or not url.isprintable():
            raise ValueError("more than an address")
        user = None if parts.username is None else unquote(parts.username)
        password = unquote(parts.password or "")
        if not f"{user}{password}".isprintable() or ":" in (user or ""):
            raise ValueError("a user or password that no header can carry")
        secure = parts.scheme == "https"
        return cls(secure, parts.hostname, parts.port or (443 if secure else 80), user, password)

    @property
    def authorization(self) -> str | None:
        """The value of `Proxy-Authorization` (RFC 7617), if it has a user."""
        if self.user is None:
            return None
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be shown to nobody."""
        given = (self.user, self.password, (self.authorization or "").removeprefix("Basic "))
        return tuple(one for one in given if one)

    def __repr__(self) -> str:
        return f"ProxyAddress({self.host!r}, {self.port})"


def proxy_variable(url: str, environ: Mapping[str, str]) -> str | None:
    """The variable that names the proxy for this URL, as curl reads them: the lower-case form counts more.

    None: no proxy is named, NO_PROXY excepts the host, or the URL is none. Loopback is no exception.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if not host or parts.scheme not in {"http", "https"}:
        return None
    if excepted(host, port, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    names = (f"{parts.scheme}_proxy", f"{parts.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return next((name for name in names if environ.get(name)), None)


def excepted(host: str, port: int, exceptions: str) -> bool:
    """Whether NO_PROXY excepts a host: by name or a suffix of it, by address or network (CIDR), with a port or without;
    `*` excepts all."""
    return any(_matches(host.lower().rstrip("."), port, one) for one in _entries(exceptions))


def _entries(exceptions: str) -> Iterable[str]:
    return (one.lower() for one in re.split(r"[\s,]+", exceptions) if one)


def _matches(host: str, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(host, entry)
    name, colon, only = entry.rpartition(":")
    if colon and only.isdecimal() and (":" not in name or name.endswith("]")):
        if int(only) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").strip(".")
    if not entry:
        return False
    return host == entry or _same_address(host, entry) or (not _is_address(host) and host.endswith(f".{entry}"))


def _in_network(host: str, entry: str) -> bool:
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False


def _same_address(host: str, entry: str) -> bool:
    return _is_address(host) and _is_address(entry) and ip_address(host) == ip_address(entry)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
