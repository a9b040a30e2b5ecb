"""What the kernel knows of a connection that its transport does not read."""

import asyncio
import socket
import struct

_LEFT = frozenset({7, 8})
"""States of a TCP connection in Linux's `tcp_info`: its client has reset it (CLOSE), or sent its end (CLOSE_WAIT)."""


def has_left(transport: asyncio.Transport) -> bool:
    """Whether the client has reset the connection, or sent its end behind what is not read: the transport, which does
    not read, cannot tell."""
    connection = transport.get_extra_info("socket")
    if connection is None or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except OSError:
        return False
    return struct.unpack("B", info)[0] in _LEFT
