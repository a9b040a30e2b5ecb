"""A way through an HTTP proxy to a host that speaks TLS (CONNECT, RFC 9110 section 9.3.6)."""

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import cast

from adapters.providers.connection import Connection
from adapters.proxy_address import ProxyAddress

MAX_HEAD_BYTES = 16 << 10
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")


class TunnelRefusedError(OSError):
    """The proxy opens no way to the host; `status` is its answer's, 0 if that was none."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy answered {status}" if status else "the proxy gave no answer")
        self.status = status


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a connection; `opened` is done when it is there."""

    def __init__(self, request: bytes) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The proxy is there, and is asked."""
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """The proxy's answer. Nothing may follow it: a host that speaks TLS waits to be spoken to."""
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0 and len(self._head) <= MAX_HEAD_BYTES:
            return
        match = _STATUS.match(self._head)
        status = int(match[1]) if match else 0
        whole = end + 4 == len(self._head)
        self._settle(None if 200 <= status < 300 and whole else TunnelRefusedError(status))

    def connection_lost(self, exc: Exception | None) -> None:
        """No answer comes any more."""
        self._settle(TunnelRefusedError(0))

    def _settle(self, error: TunnelRefusedError | None) -> None:
        if self.opened.done():
            return
        if error is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(error)


async def connect_through(
    proxy: ProxyAddress, host: str, port: int, tls: ssl.SSLContext, make: Callable[[], Connection]
) -> Connection:
    """A TLS connection to the host, through the proxy. Raises `OSError`, of which `TunnelRefusedError` is one."""
    loop = asyncio.get_running_loop()
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    user = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{user}\r\n".encode()
    transport, tunnel = await loop.create_connection(
        lambda: _Tunnel(request), proxy.host, proxy.port, ssl=tls if proxy.secure else None
    )
    try:
        await tunnel.opened
        connection = make()
        secured = await loop.start_tls(transport, connection, tls, server_hostname=host)
    except BaseException:
        transport.abort()
        raise
    if secured is None:  # the host hung up in the handshake
        raise TunnelRefusedError(0)
    connection.connection_made(secured)
    return connection
