"""The provider for OpenAI's dialect: OpenAI, DeepSeek, vLLM, Ollama and every other address that speaks it."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Self

import msgspec
from pydantic import SecretStr

from adapters.providers.attempt import Attempt
from adapters.providers.chunk_template import TemplateReader
from adapters.providers.event_stream import MAX_STREAM_BYTES, EventStreamParser, ServerSentEvent
from adapters.providers.openai_chunks import chunk_delta, completion_deltas
from adapters.providers.openai_errors import status_error, stream_error
from adapters.providers.upstream import Upstream, UpstreamResponse
from domain.errors import ProviderConnectionError, ProviderError, ProviderResponseError
from domain.model import CompletionRequest, Delta
from ports.provider import Delivery, Provider

MAX_ERROR_BODY_BYTES = 64 << 10


class OpenAIProvider(Provider):
    """Chat completions over HTTP, always streamed from the provider, with usage.

    `base_url` includes the version, as in the official clients: `https://api.openai.com/v1`. Raises
    `ConfigurationError` for an address or a key that cannot be used.
    """

    def __init__(self, name: str, base_url: str, api_key: SecretStr | str | None = None) -> None:
        self._name = name
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        if api_key is not None:
            key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
            headers["Authorization"] = f"Bearer {key}"
        self._upstream = Upstream(base_url, headers)

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        """One call; see the port."""
        return OpenAIAnswer(self._upstream, request, model, Attempt(self._name, thread_id))

    async def aclose(self) -> None:
        """Closes idle connections."""
        await self._upstream.aclose()


class OpenAIAnswer(AsyncIterator[list[Delta]], Delivery):
    """One call and its answer: a context to be in, and the batches of deltas to iterate over in it."""

    __slots__ = (
        "_attempt",
        "_chunks",
        "_failure",
        "_model",
        "_over",
        "_parser",
        "_request",
        "_response",
        "_unfinished",
        "_upstream",
    )

    def __init__(self, upstream: Upstream, request: CompletionRequest, model: str, attempt: Attempt) -> None:
        self._upstream = upstream
        self._request = request
        self._model = model
        self._attempt = attempt
        self._parser: EventStreamParser | None = None
        self._chunks = TemplateReader(lambda data: chunk_delta(data, attempt))
        self._failure: ProviderError | None = None
        self._over = False
        choices = request.options.get("n")
        self._unfinished = choices if isinstance(choices, int) else 1

    async def __aenter__(self) -> Self:
        body = _encode(self._request, self._model)
        self._response = self._upstream.post("/chat/completions", body, self._attempt)
        response = await self._response.__aenter__()
        try:
            await self._open(response)
        except BaseException as error:
            await response.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._response.__aexit__(kind, error, trace)

    async def __anext__(self) -> list[Delta]:
        while not self._over:
            if self._failure is not None:
                raise self._failure
            if self._parser is None:
                self._over = True
                return completion_deltas(await _read_whole(self._response, self._attempt), self._attempt)
            data = await self._read()
            if not data:
                break
            deltas = self._take(self._parser.feed(data))
            if deltas:
                return deltas
        raise StopAsyncIteration

    async def deliver(self, take: Callable[[Sequence[Delta]], None]) -> None:
        """What iterating gives, without a task in between: each read of the socket ends in `take`."""
        parser = self._parser
        if parser is None:
            async for batch in self:
                take(batch)
            return

        def feed(data: bytes) -> bool:
            deltas = self._take(parser.feed(data))
            if deltas:
                take(deltas)
            if self._failure is not None:
                raise self._failure
            return not self._over

        try:
            await self._response.pour(feed)
        except ProviderConnectionError:
            if self._unfinished > 0:
                raise

    async def _open(self, response: UpstreamResponse) -> None:
        """Reads the head: a stream, a whole completion, or an error."""
        status = response.status
        if status != 200:
            body = await _read_error(response) if 400 <= status < 500 else b""
            raise status_error(self._attempt, status, response.headers, body)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            self._parser = EventStreamParser(self._attempt)
        elif kind != "application/json":
            raise self._attempt.error(
                ProviderResponseError, "The provider's answer is neither a stream nor JSON.", status=status
            )

    async def _read(self) -> bytes:
        """A cut after the last finish reason takes nothing from the answer: it is its end (R5)."""
        try:
            return await self._response.read()
        except ProviderConnectionError:
            if self._unfinished > 0:
                raise
            return b""

    def _take(self, events: list[ServerSentEvent]) -> list[Delta]:
        """The deltas of one read. What fails in its middle is raised by the next step, after what came before it."""
        deltas: list[Delta] = []
        try:
            for event in events:
                data = event.data
                if data.startswith(b"[DONE]"):
                    self._over = True
                    self._response.finish()
                    break
                if not data:
                    continue
                delta = self._chunks.delta(data)
                if event.event == "error":
                    raise stream_error(self._attempt, None)
                deltas.append(delta)
                if delta.finish_reason is not None:
                    self._unfinished -= 1
        except ProviderError as error:
            self._failure = error
        return deltas


def _encode(request: CompletionRequest, model: str) -> bytes:
    given = request.options.get("stream_options")
    body = {
        "model": model,
        "messages": [
            {"role": message.role, "content": message.content, **message.extra} for message in request.messages
        ],
        **request.options,
        "stream": True,
        "stream_options": {**(given if isinstance(given, dict) else {}), "include_usage": True},
    }
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # half of a surrogate pair: it goes as the escape that it came as
        return json.dumps(body).encode()


async def _read_whole(response: UpstreamResponse, attempt: Attempt) -> bytes:
    body = bytearray()
    while data := await response.read():
        body += data
        if len(body) > MAX_STREAM_BYTES:
            raise attempt.error(ProviderResponseError, "The answer is larger than it may be.")
    return bytes(body)


async def _read_error(response: UpstreamResponse) -> bytes:
    """The beginning of an error's body. If it is cut, the status still says what happened."""
    body = bytearray()
    with suppress(ProviderError):
        while len(body) < MAX_ERROR_BODY_BYTES and (data := await response.read()):
            body += data
    return bytes(body[:MAX_ERROR_BODY_BYTES])
