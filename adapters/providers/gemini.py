"""The provider for Gemini's API, in Google's own dialect."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from urllib.parse import quote

from pydantic import SecretStr

from adapters.providers.attempt import Attempt
from adapters.providers.gemini_chunks import GeminiChunks
from adapters.providers.gemini_errors import status_error
from adapters.providers.gemini_request import encode_request
from adapters.providers.gemini_whole import response_deltas
from adapters.providers.streamed_answer import StreamedAnswer
from adapters.providers.upstream import Upstream, UpstreamResponse
from domain.delta import Delta
from domain.model import CompletionRequest
from ports.provider import Provider


class GeminiProvider(Provider):
    """`streamGenerateContent` over HTTP, the key in a header and never in the URL.

    `base_url` includes the version: `https://generativelanguage.googleapis.com/v1beta`. Raises `ConfigurationError`
    for an address or a key that cannot be used.
    """

    def __init__(self, name: str, base_url: str, api_key: SecretStr | str | None = None) -> None:
        self._name = name
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        if api_key is not None:
            headers["x-goog-api-key"] = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
        self._upstream = Upstream(base_url, headers)

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        """One call; see the port."""
        attempt = Attempt(self._name, thread_id)

        async def send() -> UpstreamResponse:
            body, names = await encode_request(request, model, attempt)
            reader.take_back(names)
            return self._upstream.post(_path(model), body, attempt)

        most_calls = 1 if request.options.get("parallel_tool_calls") is False else None
        reader = GeminiChunks(attempt, most_calls)

        def whole(body: bytes) -> list[Delta]:
            return response_deltas(body, reader, attempt)

        return StreamedAnswer(attempt, send, reader, status_error, whole=whole)

    async def aclose(self) -> None:
        """Closes idle connections."""
        await self._upstream.aclose()


def _path(model: str) -> str:
    """Where a model is asked. Its name comes from callers: it stays one segment of the path (P3)."""
    name = quote(model.removeprefix("models/"), safe="", errors="replace")
    return f"/models/{name}:streamGenerateContent?alt=sse"
