"""One client's connection to one stream: knows when the client has gone, and lets go of the stream, always."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive, Scope

from domain.services.streams import Attachment
from entrypoints.http.server.exchange import DIRECT, Exchange


class ReaderConnection:
    """Holds an attachment while a response is written. On leaving, however that happens, the attachment is closed.

    Our protocol says itself when the client has gone; with another server's, a task listens for it.
    """

    __slots__ = ("_listener", "_receive", "attachment", "direct", "gone")

    def __init__(self, attachment: Attachment, scope: Scope, receive: Receive) -> None:
        self.attachment = attachment
        self.gone = False
        self.direct: Exchange | None = scope.get("extensions", {}).get(DIRECT)
        self._receive = receive
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self.direct is None:
            self._listener = asyncio.create_task(self._listen(), name="disconnect listener")
        elif self.direct.lost:
            self._left()
        else:
            self.direct.gone = self._left
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.direct is not None:
            self.direct.gone = None
        if self._listener is not None:
            self._listener.cancel()
        self.attachment.close()

    def _left(self) -> None:
        self.gone = True
        self.attachment.reader.nudge()

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left()
