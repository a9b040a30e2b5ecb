"""Hostile clients: plain sockets from an address of their own, bounded in bytes and time."""

import contextlib
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator

ADDRESS = "127.0.0.2"
HOST = b"Host: 127.0.0.1\r\n"
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
MB = 1_000_000
FLOOD_SECONDS = 10.0
"""For which one client floods at most."""


def connect(port: int) -> socket.socket:
    """A connection whose sends and receives wait for as long as a flood may take."""
    return socket.create_connection(("127.0.0.1", port), timeout=FLOOD_SECONDS, source_address=(ADDRESS, 0))


def repeated(piece: bytes, total: int) -> Iterator[bytes]:
    """`total` bytes of it, or somewhat more, about a megabyte at a time."""
    block = piece * max(1, MB // len(piece))
    for _ in range(-(-total // len(block))):
        yield block


def flood(connection: socket.socket, pieces: Iterable[bytes]) -> int:
    """Sends until all is sent, the other side has closed, or the time is over; how many bytes were sent."""
    sent, deadline = 0, time.monotonic() + FLOOD_SECONDS
    with contextlib.suppress(OSError):
        for piece in pieces:
            connection.sendall(piece)
            sent += len(piece)
            if time.monotonic() > deadline:
                break
    return sent


def heard(connection: socket.socket, seconds: float = 2.0) -> str:
    """The status that has come, or comes within these seconds; or what came instead."""
    connection.settimeout(seconds)
    try:
        answer = connection.recv(65_536)
    except TimeoutError:
        return "nothing"
    except OSError:
        return "reset"
    return answer[9:12].decode() if answer.startswith(b"HTTP/1.1 ") else "closed"


def one_flood(port: int, head: bytes, pieces: Iterable[bytes]) -> str:
    """One client that sends all this: what it hears, and how much it could send."""
    with connect(port) as connection:
        sent = flood(connection, [head]) + flood(connection, pieces)
        return f"{heard(connection)} after {sent / MB:.0f} MB"


def counted(answers: Iterable[str]) -> str:
    """How often each."""
    return ", ".join(f"{count} x {answer}" for answer, count in Counter(answers).most_common())


def reset(connection: socket.socket) -> None:
    """Closes it by a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def dripped(port: int, count: int, start: bytes, drip: bytes, seconds: float) -> str:
    """So many clients that send `start` and then `drip` twice a second: how many are sent away, when, and with what."""
    began = time.monotonic()
    clients = [one for one in (_begun(port, start) for _ in range(count)) if one is not None]
    refused, ends = count - len(clients), list[tuple[float, str]]()
    while clients and time.monotonic() < began + seconds:
        readable, _, _ = select.select(clients, [], [], 0.25)
        for client in readable:
            ends.append((time.monotonic() - began, heard(client)))
            client.close()
            clients.remove(client)
        for client in clients if drip else ():
            with contextlib.suppress(OSError):
                client.send(drip)
        time.sleep(0.25)
    for client in clients:
        client.close()
    times = f" at {min(ends)[0]:.0f}-{max(ends)[0]:.0f} s ({counted(how for _, how in ends)})" if ends else ""
    return f"{len(ends)} of {count} sent away{times}" + (f", {refused} never in" if refused else "")


def _begun(port: int, start: bytes) -> socket.socket | None:
    try:
        client = connect(port)
        client.sendall(start)
    except OSError:
        return None
    return client
