"""The HTTP protocol of the server: uvicorn's, and a way for a response to drop a client that takes nothing (S11)."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT = "headgate.abort"


class HeadgateProtocol(HttpToolsProtocol):
    """Hands each request the connection's `abort`: ASGI alone can only close, and a close waits for what is unsent."""

    def on_message_begin(self) -> None:
        """Begins a request."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]
