"""One client's connection to one stream: knows when the client has gone, and lets go of the stream, always."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive

from domain.services.streams import Attachment


class ReaderConnection:
    """Holds an attachment while a response is written. On leaving, however that happens, the attachment is closed."""

    __slots__ = ("_listener", "_receive", "attachment", "gone")

    def __init__(self, attachment: Attachment, receive: Receive) -> None:
        self.attachment = attachment
        self.gone = False
        self._receive = receive
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listener = asyncio.create_task(self._listen(), name="disconnect listener")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._listener.cancel()
        self.attachment.close()

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.attachment.reader.nudge()
