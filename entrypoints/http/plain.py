"""A stream as one plain response: read to its end, put together, sent."""

from abc import abstractmethod
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.model import Batch, Cancelled, Complete, Failed
from domain.services.streams import Attachment
from entrypoints.http.connection import ReaderConnection
from entrypoints.http.headers import target_value
from entrypoints.http.sse import MAX_WRITE, ErrorResponse


class Assembler(Protocol):
    """Puts a whole answer together: see `entrypoints.wire`."""

    @abstractmethod
    def add(self, batch: Batch) -> None:
        """Takes the next events."""

    @abstractmethod
    def body(self) -> bytes:
        """The whole, as JSON."""


class PlainResponse(Response):
    """The answer in one piece. A client that leaves before it is there is noticed at once (R8)."""

    media_type = "application/json"

    def __init__(
        self, attachment: Attachment, assembler: Assembler, headers: dict[str, str], error: ErrorResponse
    ) -> None:
        super().__init__(headers=headers)
        self._attachment = attachment
        self._assembler = assembler
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Waits for the end, then answers."""
        connection = ReaderConnection(self._attachment, scope, receive)
        reader = self._attachment.reader
        async with connection:
            while not reader.ended:
                batch = await reader.read()
                if connection.gone:
                    return
                if batch is None:
                    continue
                self._assembler.add(batch)
                last = batch.events[-1]
                if isinstance(last, Cancelled):
                    last = Failed("cancelled", f"The stream was cancelled: {last.reason}.", retryable=False)
                if isinstance(last, Failed):
                    await self._error(last)(scope, receive, send)
                    return
                if isinstance(last, Complete):  # R7
                    self.headers["X-Target"] = target_value(last.target)
        self.body = self._assembler.body()
        headers = [header for header in self.raw_headers if header[0] != b"content-length"]
        self.raw_headers = [*headers, (b"content-length", str(len(self.body)).encode("ascii"))]
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), MAX_WRITE):  # the server waits for the client between two (S11)
            piece = self.body[start : start + MAX_WRITE]
            await send({"type": "http.response.body", "body": piece, "more_body": start + MAX_WRITE < len(self.body)})
