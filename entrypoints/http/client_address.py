"""Where an anonymous request came from, past the proxies that may say so."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network
MAX_HOPS = 32
"""No chain of trusted proxies is longer; what stands to the left of it is not looked at."""
MAX_HOP_LENGTH = 64


def client_address(peer: str, forwarded: Sequence[str], proxies: Sequence[Network]) -> str:
    """The nearest address that is no trusted proxy: `peer`, or one of the `X-Forwarded-For` lines, from the right.

    Each proxy writes its own peer to the right of what it was sent, so an entry counts only if all to the right of it
    are trusted proxies: what a client writes itself stays to the left. Where an entry is no address, the proxy that
    passed it on is the last that is known. Never raises.
    """
    nearest = peer
    address = _parse(peer)
    for hop in reversed(_last_hops(forwarded)):
        if address is None or not any(address in network for network in proxies):
            break
        before = _parse(hop)
        if before is None:
            break
        nearest, address = str(before), before
    return nearest


@lru_cache(maxsize=1024)
def is_loopback(peer: str) -> bool:
    """Whether who connects is on this machine. Never raises."""
    address = _parse(peer)
    return address is not None and address.is_loopback


def is_within(peer: str, networks: Sequence[Network]) -> bool:
    """Whether `peer` is an address in one of these networks. Never raises."""
    address = _parse(peer)
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=1024)
def neighbourhood(address: str) -> str:
    """Who counts as one caller: an IPv4 address, and of IPv6 a /64: whoever has one address there has all."""
    parsed = _parse(address)
    if not isinstance(parsed, IPv6Address) or parsed.is_loopback:
        return address
    return str(IPv6Network((parsed, 64), strict=False))


def _last_hops(lines: Sequence[str]) -> list[str]:
    hops: list[str] = []
    for line in reversed(lines):
        hops = line.rsplit(",", MAX_HOPS)[-MAX_HOPS:] + hops
        if len(hops) >= MAX_HOPS:
            break
    return [hop.strip() for hop in hops[-MAX_HOPS:]]


def _parse(hop: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: alone, with a port, in brackets. One that is IPv4 within IPv6 is IPv4."""
    if len(hop) > MAX_HOP_LENGTH:
        return None
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        address = ip_address(hop)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
