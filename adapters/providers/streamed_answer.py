"""One call to a provider and its answer: events as they arrive, in any dialect."""

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import msgspec

from adapters.answer_bounds import AnswerBounds
from adapters.providers.attempt import Attempt
from adapters.providers.call_form import CallForm
from adapters.providers.chunk_template import ChunkTemplate
from adapters.providers.delta_feed import DeltaFeed, EventReader
from adapters.providers.fitting import fitted
from adapters.providers.frame_errors import PING_WORDS, says_nothing, told_error
from adapters.providers.upstream import UpstreamResponse
from domain.delta import Delta, Usage
from domain.errors import (
    NoRoomLeftError,
    ProviderAnswerTooLargeError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
)
from ports.provider import Delivery, SignsOfLife

T = TypeVar("T")

WHOLE_KINDS = frozenset({"application/json", "text/json", "application/problem+json", "text/plain", ""})
"""Media types of what may be an answer in one piece, or an error with the status 200."""
MAX_ERROR_BODY_BYTES = 256 << 10
ERROR_BODY_SECONDS = 1.0
MAX_COUNT = 16 << 20
"""No answer has more tokens than it may have bytes: more would shut its caller out by its limits, or could not even be
stored."""


class StatusError(Protocol):
    """How one dialect tells an error by its HTTP status."""

    @abstractmethod
    def __call__(self, attempt: Attempt, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """The error; `body` is the beginning of the response's, or nothing."""


class StreamedAnswer(AsyncIterator[Sequence[Delta]], Delivery, SignsOfLife):
    """A context to be in, and the batches of deltas to iterate over in it. `send` makes the request as it is entered.

    `choices` answers are due: a cut after the last one's finish reason takes nothing from them: it is their end (R5).
    `whole` reads the JSON of a provider that ignores that it is to stream; without it, that is not an answer. `form` is
    that in which `send` puts the call: if it is refused, the call is made again in another.
    """

    __slots__ = (
        "_alive",
        "_attempt",
        "_bounds",
        "_feed",
        "_form",
        "_response",
        "_send",
        "_status_error",
        "_unread_whole",
        "_whole",
    )

    def __init__(
        self,
        attempt: Attempt,
        send: Callable[[], Awaitable[UpstreamResponse]],
        reader: EventReader,
        status_error: StatusError,
        *,
        choices: int = 1,
        template: ChunkTemplate | None = None,
        whole: Callable[[bytes], list[Delta]] | None = None,
        form: CallForm | None = None,
        bounds: AnswerBounds | None = None,
    ) -> None:
        self._bounds = bounds or AnswerBounds()
        self._attempt = attempt
        self._send = send
        self._feed = DeltaFeed(attempt, reader, choices, template, self._bounds)
        self._status_error = status_error
        self._whole = whole
        self._form = form
        self._unread_whole = False
        self._alive: Callable[[], None] | None = None

    def on_life(self, alive: Callable[[], None]) -> None:
        """See the port."""
        self._alive = self._feed.alive = alive

    async def __aenter__(self) -> Self:
        while not await self._begin():
            pass  # asked in a form that it refuses, of which there are two
        return self

    async def _begin(self) -> bool:
        """Makes the call. False if it has to be made again in another form."""
        self._response = await self._send()
        if self._alive is not None:
            self._response.on_life(self._alive)
        await self._response.__aenter__()
        try:
            if await self._check_head():
                return True
        except BaseException as error:
            await self._response.__aexit__(type(error), error, error.__traceback__)
            raise
        await self._response.__aexit__(None, None, None)
        return False

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.close()
        if self._feed.over:
            self._response.finish()
        await self._response.__aexit__(kind, error, trace)

    async def __anext__(self) -> Sequence[Delta]:
        if self._unread_whole and self._whole is not None:
            self._unread_whole = False
            return self._whole(await self._read_all())
        feed = self._feed
        while not feed.over:
            if feed.failure is not None:
                raise feed.failure
            data = await self._read()
            deltas = feed.feed(data) if data else feed.end()
            if deltas:
                return deltas
        raise StopAsyncIteration

    async def deliver(self, take: Callable[[Sequence[Delta]], None]) -> None:
        """What iterating gives, without a task in between: each read of the socket ends in `take`."""
        if self._unread_whole:
            take(await anext(self))
            return
        try:
            await self._response.pour(self._feed.into(take))
        except ProviderConnectionError:
            if self._feed.unfinished > 0:
                raise
            return
        last = self._feed.end()
        if last:
            take(last)

    async def _check_head(self) -> bool:
        """Whether it is an answer that has begun, and not a refusal of the form alone."""
        response = self._response
        if response.status != 200:
            body = await self._read_error() if 400 <= response.status < 500 else b""
            if self._form is not None and self._form.refused(response.status, body):
                return False
            raise self._status_error(self._attempt, response.status, response.headers, body)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._unread_whole = self._whole is not None and kind in WHOLE_KINDS
        if kind != "text/event-stream" and not self._unread_whole:
            raise self._attempt.error(ProviderResponseError, "The provider's answer is not a stream.", status=200)
        if self._form is not None:
            self._form.accepted()
        return True

    async def _read_error(self) -> bytes:
        """The beginning of an error's body. If it is cut, or late, the status still says what happened."""
        body = bytearray()
        with suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(ERROR_BODY_SECONDS):
                while len(body) < MAX_ERROR_BODY_BYTES and (data := await self._response.read()):
                    body += data
        return bytes(body[:MAX_ERROR_BODY_BYTES])

    async def _read_all(self) -> bytes:
        body, place = bytearray(), self._bounds.room.place()
        try:
            while data := await self._response.read():
                body += data
                if len(body) > self._bounds.max_bytes:
                    raise self._attempt.error(ProviderAnswerTooLargeError, "The answer is larger than it may be.")
                if not place.hold(len(body)):
                    raise self._attempt.error(
                        NoRoomLeftError, "There is no room left for so large an answer.", retry_after=1.0
                    )
        finally:
            place.hold(0)
        return bytes(body)

    async def _read(self) -> bytes:
        try:
            return await self._response.read()
        except ProviderConnectionError:
            if self._feed.unfinished > 0:
                raise
            return b""


def counted(tokens: int | None) -> int:
    """A count of tokens as a provider tells it, within bounds."""
    return min(max(tokens or 0, 0), MAX_COUNT)


def larger(known: Usage | None, told: Usage) -> Usage:
    """The larger of each count: they are cumulative, and some providers end with zeros."""
    return told if known is None else Usage(*map(max, known, told))


def decoded(
    decoder: msgspec.json.Decoder[T], data: bytes, attempt: Attempt, error: Callable[[Attempt, object], ProviderError]
) -> T | None:
    """An event's data; None for a sign of life. Halves of surrogate pairs, which come when an emoji is cut by two
    events, go through, and so does a wrong type where nothing of the answer stands.

    Raises `ProviderResponseError` for a broken frame, and what `error` makes of one in another form.
    """
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        if data.strip().lower().decode(errors="replace") in PING_WORDS:
            return None
        frame = loaded(data, attempt)
        told = told_error(frame)
        if told is not None:
            raise error(attempt, told) from None
        if says_nothing(frame):
            return None
        try:
            mended: T = msgspec.convert(fitted(frame, msgspec.inspect.type_info(decoder.type)), decoder.type)
        except (ValueError, RecursionError) as failure:
            raise broken(attempt) from failure
        return mended


def error_told(
    body: bytes, attempt: Attempt, error: Callable[[Attempt, object], ProviderError]
) -> ProviderError | None:
    """What `error` makes of JSON that is an error in any form; None if it is none."""
    try:
        told = told_error(loaded(body, attempt))
    except ProviderResponseError:
        return None
    return None if told is None else error(attempt, told)


def loaded(data: bytes, attempt: Attempt) -> Any:
    """The JSON in an event's data. Raises `ProviderResponseError` if it is none."""
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise broken(attempt) from error


def broken(attempt: Attempt) -> ProviderResponseError:
    """What a frame is that nobody can read."""
    return attempt.error(ProviderResponseError, "The provider sent a frame that is not a part of an answer.")


def _refuse_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")
