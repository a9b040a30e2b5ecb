"""What a service without keys refuses before anything else: host names that are not its own, and foreign pages (G10).

Whoever can connect may call then, and a web page can make its visitor's browser connect. Two of its ways are closed
here. DNS rebinding: the page's own name is made to lead to this machine, and the browser takes Headgate for the page's
server; but it says that name in `Host`. A request across origins: the browser says in `Sec-Fetch-Site` (Fetch Metadata
Request Headers, W3C) and in `Origin` (RFC 6454) whose page asked. Other clients send neither.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from starlette.types import Scope

from domain.errors import ForbiddenOriginError, MisdirectedRequestError, RequestValidationError
from domain.services.callers import Callers
from entrypoints.http.client_address import is_loopback

ANY_HOST = "*"
PROBED = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that monitoring asks for by the address of the machine."""
MAX_HOST_LENGTH = 261
"""Of the longest name and a port."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})
"""What `Sec-Fetch-Site` says of a page of this very origin, and of what a person typed. A page of another port on the
same machine is `same-site`: foreign."""
_HOST = re.compile(r"(\[(?P<literal>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(:[0-9]*)?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class AllowedHosts:
    """The hosts that a service without keys answers to: the names of loopback, and `names`; ANY_HOST among them stands
    for all. With `any_address` also every IP address: no rebinding is possible without a name."""

    def __init__(self, names: Iterable[str], *, any_address: bool = False) -> None:
        self._names = frozenset(host_name(f"[{name.strip('[]')}]" if ":" in name else name) for name in names)
        self._any_address = any_address

    def allows(self, host: str, *, probed: bool = False) -> bool:
        """Whether this `Host` is one of them; of a `probed` path any address is. Never raises."""
        if ANY_HOST in self._names:
            return True
        if len(host) > MAX_HOST_LENGTH:
            return False
        name = host_name(host)
        if name == "localhost" or name.endswith(".localhost") or is_loopback(name) or name in self._names:
            return True
        return (probed or self._any_address) and _is_address(name)

    def names(self, host: str) -> bool:
        """Whether this host is one of the `names`, in so many words."""
        return len(host) <= MAX_HOST_LENGTH and host_name(host) in self._names


class KeylessAccess:
    """Judges requests while there is no key; once there is one, a page would have to know it, and all may pass."""

    def __init__(self, callers: Callers, hosts: AllowedHosts) -> None:
        self._callers = callers
        self._hosts = hosts

    def refusal(self, scope: Scope) -> RequestValidationError | None:
        """The error that an HTTP request gets, if it gets one."""
        if not self._callers.open:
            return None
        hosts = _values(scope, b"host")
        probed = scope["path"] in PROBED
        if not all(self._hosts.allows(host, probed=probed) for host in hosts):
            return MisdirectedRequestError(
                "This service has no API keys, and answers to loopback names and those in HEADGATE_ALLOWED_HOSTS only."
            )
        if scope["method"] in _SAFE_METHODS:
            return None
        own = {host.lower() for host in hosts}
        foreign = not _OWN_SITES.issuperset(_values(scope, b"sec-fetch-site")) or any(
            not self._is_own(origin.lower(), own) for origin in _values(scope, b"origin")
        )
        return ForbiddenOriginError("A page of another origin may not do this.") if foreign else None

    def _is_own(self, origin: str, hosts: set[str]) -> bool:
        """Whether a page of this origin is one of the service's own: `null`, or what is no origin, never is."""
        scheme, separator, host = origin.partition("://")
        if not separator or scheme not in _DEFAULT_PORTS:
            return False
        port = _DEFAULT_PORTS[scheme]
        return host.removesuffix(port) in {own.removesuffix(port) for own in hosts} or self._hosts.names(host)


@lru_cache(maxsize=1024)
def host_name(host: str) -> str:
    """The name or address in a `Host`, without its port: in lower case, without brackets and the root's dot. Of what is
    no host, nothing."""
    parts = _HOST.fullmatch(host.lower())
    if parts is None:
        return ""
    name: str = parts["literal"] or parts["name"].removesuffix(".")
    return str(ip_address(name)) if _is_address(name) else name


@lru_cache(maxsize=1024)
def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
