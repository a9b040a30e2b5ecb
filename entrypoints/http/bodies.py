"""Reads request bodies: only for who may ask, in bounded memory, and without holding up anybody else (G5, G6)."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect, Request

from domain.errors import (
    BodyMemoryFullError,
    RequestTooLargeError,
    RequestValidationError,
    UnsupportedEncodingError,
    UnsupportedMediaTypeError,
)
from domain.model import CallContext, Verdict
from domain.services.streams import StreamService
from entrypoints.http.context import headers_of
from entrypoints.http.server.exchange import DIRECT, Exchange
from entrypoints.wire.json_body import decode_object
from entrypoints.wire.parameters import LIST_BOUNDS

MAX_BODY_BYTES = 16 * 1024 * 1024
BODIES_SHARE, CALLER_SHARE = 4, 4
"""Bodies may hold this part of the process's memory budget, and one caller's this part of that."""
SMALL_BYTES = 64 << 10
"""So much of a body the server's protocol holds, whether it is read or not."""
SOON = 0.05
"""Seconds that a small body may take to arrive before its request is charged: most clients send a head and a body one
right after the other, and what is whole is charged in one step, requests and tokens."""
RETRY_SECONDS = 1
MAX_LENGTH_DIGITS = 12


class BodyMemory:
    """Counts what the bodies hold that are being read, in all and for each caller, in bytes: at most `total`, and
    `per_caller`."""

    def __init__(self, total: int, per_caller: int) -> None:
        self._total = total
        self.per_caller = per_caller
        self._held = 0
        self._callers: dict[str, int] = {}

    @property
    def held(self) -> int:
        """In all."""
        return self._held

    def check(self, tenant: str, size: int) -> None:
        """Raises `BodyMemoryFullError` if there is no room now for so many bytes of a caller's."""
        if self._callers.get(tenant, 0) + size > self.per_caller or self._held + size > self._total:
            raise BodyMemoryFullError(
                "Too much is being sent at once; send it again a little later.", details={"retry_after": RETRY_SECONDS}
            )

    def take(self, tenant: str, size: int) -> None:
        """Adds to what a caller's bodies hold. Raises `BodyMemoryFullError`, and nothing was added."""
        self.check(tenant, size)
        self._held += size
        self._callers[tenant] = self._callers.get(tenant, 0) + size

    def give_back(self, tenant: str, size: int) -> None:
        """Takes off what was added."""
        self._held -= size
        left = self._callers.pop(tenant) - size
        if left:
            self._callers[tenant] = left


class Reservation:
    """What one body may hold, and how much of it that is by now."""

    def __init__(self, memory: BodyMemory, tenant: str) -> None:
        self._memory = memory
        self._tenant = tenant
        self._size = 0

    def grow(self, size: int) -> None:
        """From now on it is `size` bytes, if it is not more already. Raises `BodyMemoryFullError`."""
        if size > self._size:
            self._memory.take(self._tenant, size - self._size)
            self._size = size

    def release(self) -> None:
        """Gives all of it back."""
        if self._size:
            self._memory.give_back(self._tenant, self._size)
            self._size = 0


class Body(NamedTuple):
    """A body, read and decoded."""

    fields: dict[str, Any]
    size: int
    """Bytes."""
    prepaid: Verdict | None
    """Set if its request was charged before it was read."""


class Bodies:
    """Reads the bodies of all doors. `max_bytes` bounds one of them.

    Who sends a body that is not here yet is charged one request before it is read, and refused with the body unread if
    its limit does not admit that. The charge stands, whatever becomes of the body: to read and to decode is what a
    request costs, and a caller that never finishes its bodies, or sends what is no request, would read for nothing.
    Only what is refused unread costs nothing (L2).
    """

    def __init__(self, service: StreamService, memory: BodyMemory) -> None:
        self._service = service
        self._memory = memory
        self.max_bytes = min(MAX_BODY_BYTES, memory.per_caller)

    async def read(self, request: Request, context: CallContext) -> Body:
        """The JSON object that a request of this caller sends. Raises a `RequestValidationError`, a `RateLimitError`,
        `ServerDrainingError`, `BodyMemoryFullError`, or Starlette's `ClientDisconnect`."""
        headers = headers_of(request)
        direct: Exchange | None = request.scope.get("extensions", {}).get(DIRECT)
        whole = None if direct is None else direct.take_body()
        if whole is not None:  # it was read with its head: to refuse it now would save nothing
            _check_kind(headers)
            return await _decoded([whole], None)
        length = _declared_length(headers)
        chunks: list[bytes] = []
        if length is None or length <= SMALL_BYTES:
            _check_kind(headers)
            if await _arrives_soon(request, chunks):
                return await _decoded(chunks, None)
        prepaid = await self._service.prepay(context)
        reservation = Reservation(self._memory, context.caller.tenant)
        try:
            try:
                self._check_head(headers, length)
                # Looked at, not taken: who only says that much is coming must not keep others out.
                self._memory.check(context.caller.tenant, length or 0)
            except RequestValidationError:
                await self._service.refund(context)
                raise
            await self._receive(request, chunks, reservation)
            return await _decoded(chunks, prepaid)
        except BodyMemoryFullError as error:
            await self._service.refund(context, error)
            raise
        finally:
            reservation.release()

    def _check_head(self, headers: Mapping[str, str], length: int | None) -> None:
        _check_kind(headers)
        if length is not None and length > self.max_bytes:
            raise self._too_large()

    async def _receive(self, request: Request, chunks: list[bytes], reservation: Reservation) -> None:
        """Adds the rest of the body to `chunks`."""
        size, more = sum(map(len, chunks)), True
        while more:
            reservation.grow(size)
            more = await _receive(request, chunks)
            size += len(chunks[-1])
            if size > self.max_bytes:
                raise self._too_large()

    def _too_large(self) -> RequestTooLargeError:
        return RequestTooLargeError(f"The body is larger than {self.max_bytes} bytes.")


async def read_small(request: Request) -> dict[str, Any]:
    """The JSON object that an operator sends, whom no limit binds: at most SMALL_BYTES. Raises as `Bodies.read`."""
    _check_kind(headers_of(request))
    chunks: list[bytes] = []
    while await _receive(request, chunks):
        if sum(map(len, chunks)) > SMALL_BYTES:
            raise RequestTooLargeError(f"The body is larger than {SMALL_BYTES} bytes.")
    return (await _decoded(chunks, None)).fields


def _declared_length(headers: Mapping[str, str]) -> int | None:
    """Bytes of the body, or None if it comes in chunks."""
    text = headers.get("content-length", "")
    if text.isascii() and text.isdecimal():
        return int(text[:MAX_LENGTH_DIGITS])
    return None if "transfer-encoding" in headers else 0


def _check_kind(headers: Mapping[str, str]) -> None:
    if "content-encoding" in headers and headers["content-encoding"].lower() != "identity":
        raise UnsupportedEncodingError("Send the body without a Content-Encoding.")
    given = headers.get("content-type", "")
    if given == "application/json":  # what most say
        return
    media_type = given.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaTypeError("Send JSON, with `Content-Type: application/json`.")


async def _arrives_soon(request: Request, chunks: list[bytes]) -> bool:
    """Whether the whole body is here, or comes within SOON, and is small; what came of it is in `chunks`."""
    size = 0
    try:
        async with asyncio.timeout(SOON):
            while await _receive(request, chunks):
                size += len(chunks[-1])
                if size > SMALL_BYTES:
                    return False
    except TimeoutError:
        return False
    return True


async def _receive(request: Request, chunks: list[bytes]) -> bool:
    """Adds a piece of the body to `chunks`; whether there is more. `request.stream()`, a generator, would cost 4 us."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    chunks.append(message.get("body", b""))
    more: bool = message.get("more_body", False)
    return more


async def _decoded(chunks: list[bytes], prepaid: Verdict | None) -> Body:
    body = b"".join(chunks)
    chunks.clear()  # what they hold is counted once
    return Body(await decode_object(body, LIST_BOUNDS), len(body), prepaid)
