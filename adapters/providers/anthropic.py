"""The provider for Anthropic's dialect: Claude, and every other address that speaks the Messages API."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from adapters.answer_bounds import AnswerBounds
from adapters.masking import NO_MASKING, Masking
from adapters.providers.anthropic_errors import status_error
from adapters.providers.anthropic_events import AnthropicEvents
from adapters.providers.anthropic_request import encode_request
from adapters.providers.anthropic_whole import message_deltas
from adapters.providers.attempt import Attempt
from adapters.providers.listing import THREAD_ID, Page, read_models, rows
from adapters.providers.network import FORM, Network, keyed
from adapters.providers.streamed_answer import StreamedAnswer
from adapters.providers.upstream import Upstream, UpstreamResponse
from domain.delta import Delta
from domain.model import CompletionRequest
from ports.model_list import ModelList
from ports.provider import Provider

FIRST_PAGE = "/v1/models?limit=1000"
API_VERSION = "2023-06-01"
"""The later 2026-10-21 differs by refusing `temperature`, `top_p` and `top_k`, which older models take."""


class AnthropicProvider(Provider, ModelList):
    """Messages over HTTP, always streamed from the provider.

    `base_url` is without the version, as in the official clients: `https://api.anthropic.com`. Raises
    `ConfigurationError` for an address or a key that cannot be used.
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
        self._upstream = Upstream(
            base_url, keyed({**FORM, "anthropic-version": API_VERSION}, api_key, api_key_header, "x-api-key"), network
        )

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        """One call; see the port."""
        attempt = Attempt(self._name, thread_id, self._masking)

        async def send() -> UpstreamResponse:
            body, mapped = await encode_request(request, model, attempt)
            reader.take_back(mapped.ids, mapped.names)
            return self._upstream.post("/v1/messages", body, attempt)

        reader = AnthropicEvents(attempt)

        def whole(body: bytes) -> list[Delta]:
            return message_deltas(body, reader, attempt)

        return StreamedAnswer(attempt, send, reader, status_error, whole=whole, bounds=self._bounds)

    async def list_models(self) -> Sequence[str]:
        """See the port of model lists."""
        attempt = Attempt(self._name, THREAD_ID, self._masking)
        return await read_models(self._upstream, attempt, FIRST_PAGE, _page, status_error)

    async def aclose(self) -> None:
        """Closes idle connections."""
        await self._upstream.aclose()


def _page(content: Mapping[str, Any]) -> Page:
    names = [row["id"] for row in rows(content, "data") if isinstance(row.get("id"), str)]
    last = content.get("last_id")
    more = content.get("has_more") is True and isinstance(last, str)
    return Page(names, f"{FIRST_PAGE}&after_id={quote(str(last), safe='')}" if more else None)
