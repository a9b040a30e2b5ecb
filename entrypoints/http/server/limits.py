"""The bounds of one connection, and those of all connections of a process."""

import resource
from dataclasses import dataclass

MAX_CONNECTIONS = 65_536
"""Whatever the limit of open files: an idle connection takes some 4 KB."""
MIN_RESERVE = 16


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a client may send, in bytes, and how long it may take, in seconds (G2, G3, G7)."""

    head_bytes: int = 32 * 1024
    headers: int = 100
    target_bytes: int = 8 * 1024
    chunk_overhead_bytes: int = 4 * 1024
    """For all chunk extensions and trailers of a body together."""
    head_seconds: float = 10.0
    """For a whole head: from the first byte of the head, and for the first head from the start of the connection."""
    keep_alive_seconds: float = 15.0
    """Between a response and the next head."""
    body_seconds: float = 10.0
    body_bytes_per_second: int = 1024
    """The least speed of a body, over each `body_seconds`."""
    buffer_bytes: int = 64 * 1024
    """Of a body that is not read yet, and of what follows a request; then reading stops until it is asked for."""
    all_buffer_bytes: int = 2 * 1024 * 1024
    """Of all beginnings of heads, and of what follows requests, that the connections of a process keep together. Above
    it only small ones are kept."""
    small_buffer_bytes: int = 2 * 1024
    send_seconds: float = 30.0
    """For which a client may take nothing of what is written for it."""
    linger_bytes: int = 64 * 1024 * 1024
    linger_seconds: float = 10.0
    """A connection that closes with input unread goes on reading for so long, and so many bytes, and drops them."""


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """How many connections a process takes (G4), in all and from one address."""

    total: int
    per_address: int

    @classmethod
    def within(cls, files: int) -> "ConnectionBounds":
        """What is left of so many open files after a reserve: a quarter of them, for Redis, keys and logs, and for
        calls of providers. One address may have three quarters of the connections: a proxy that nobody named is not
        shut out, and others are not shut out by it."""
        total = max(1, min(files - max(files // 4, MIN_RESERVE), MAX_CONNECTIONS))
        return cls(total, max(1, total * 3 // 4))


def open_files() -> int:
    """How many files the process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS * 2 if soft == resource.RLIM_INFINITY else soft


def raise_open_files() -> None:
    """Lets the process have as many files open as the system allows it: shells leave it with 1,024 of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
