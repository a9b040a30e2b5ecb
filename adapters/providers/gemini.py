"""The provider for Gemini's API, in Google's own dialect."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from adapters.answer_bounds import AnswerBounds
from adapters.masking import NO_MASKING, Masking
from adapters.providers.attempt import Attempt
from adapters.providers.gemini_chunks import GeminiChunks
from adapters.providers.gemini_errors import status_error
from adapters.providers.gemini_request import encode_request
from adapters.providers.gemini_whole import response_deltas
from adapters.providers.listing import THREAD_ID, Page, read_models, rows
from adapters.providers.network import FORM, Network, keyed
from adapters.providers.streamed_answer import StreamedAnswer
from adapters.providers.upstream import Upstream, UpstreamResponse
from domain.delta import Delta
from domain.model import CompletionRequest
from ports.model_list import ModelList
from ports.provider import Provider

FIRST_PAGE = "/models?pageSize=1000"


class GeminiProvider(Provider, ModelList):
    """`streamGenerateContent` over HTTP, the key in a header and never in the URL.

    `base_url` includes the version: `https://generativelanguage.googleapis.com/v1beta`. Raises `ConfigurationError`
    for an address or a key that cannot be used.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: SecretStr | str | None = None,
        *,
        api_key_header: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ca_file: str | None = None,
        verify: bool = True,
        masking: Masking = NO_MASKING,
        bounds: AnswerBounds | None = None,
    ) -> None:
        self._name = name
        self._bounds = bounds or AnswerBounds()
        self._masking = masking
        network = Network.of(headers, query, proxy, ca_file, verify=verify)
        self._upstream = Upstream(base_url, keyed(FORM, api_key, api_key_header, "x-goog-api-key"), network)

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        """One call; see the port."""
        attempt = Attempt(self._name, thread_id, self._masking)

        async def send() -> UpstreamResponse:
            body, names = await encode_request(request, model, attempt)
            reader.take_back(names)
            return self._upstream.post(_path(model), body, attempt)

        most_calls = 1 if request.options.get("parallel_tool_calls") is False else None
        reader = GeminiChunks(attempt, most_calls)

        def whole(body: bytes) -> list[Delta]:
            return response_deltas(body, reader, attempt)

        return StreamedAnswer(attempt, send, reader, status_error, whole=whole, bounds=self._bounds)

    async def list_models(self) -> Sequence[str]:
        """See the port of model lists."""
        attempt = Attempt(self._name, THREAD_ID, self._masking)
        return await read_models(self._upstream, attempt, FIRST_PAGE, _page, status_error)

    async def aclose(self) -> None:
        """Closes idle connections."""
        await self._upstream.aclose()


def _path(model: str) -> str:
    """Where a model is asked. Its name comes from callers: it stays one segment of the path (P3)."""
    name = quote(model.removeprefix("models/"), safe="", errors="replace")
    return f"/models/{name}:streamGenerateContent?alt=sse"


def _page(content: Mapping[str, Any]) -> Page:
    """Those that generate content; names come as `models/…`."""
    names = [
        row["name"].removeprefix("models/")
        for row in rows(content, "models")
        if isinstance(row.get("name"), str) and "generateContent" in (row.get("supportedGenerationMethods") or ())
    ]
    token = content.get("nextPageToken")
    return Page(names, f"{FIRST_PAGE}&pageToken={quote(token, safe='')}" if token and isinstance(token, str) else None)
