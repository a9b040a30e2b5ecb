"""The provider for Anthropic's dialect: Claude, and every other address that speaks the Messages API."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from pydantic import SecretStr

from adapters.providers.anthropic_errors import status_error
from adapters.providers.anthropic_events import AnthropicEvents
from adapters.providers.anthropic_request import encode_request
from adapters.providers.anthropic_whole import message_deltas
from adapters.providers.attempt import Attempt
from adapters.providers.streamed_answer import StreamedAnswer
from adapters.providers.upstream import Upstream, UpstreamResponse
from domain.delta import Delta
from domain.model import CompletionRequest
from ports.provider import Provider

API_VERSION = "2023-06-01"
"""The later 2026-10-21 differs by refusing `temperature`, `top_p` and `top_k`, which older models take."""


class AnthropicProvider(Provider):
    """Messages over HTTP, always streamed from the provider.

    `base_url` is without the version, as in the official clients: `https://api.anthropic.com`. Raises
    `ConfigurationError` for an address or a key that cannot be used.
    """

    def __init__(self, name: str, base_url: str, api_key: SecretStr | str | None = None) -> None:
        self._name = name
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",
            "anthropic-version": API_VERSION,
        }
        if api_key is not None:
            headers["x-api-key"] = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
        self._upstream = Upstream(base_url, headers)

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        """One call; see the port."""
        attempt = Attempt(self._name, thread_id)

        async def send() -> UpstreamResponse:
            body, mapped = await encode_request(request, model, attempt)
            reader.take_back(mapped.ids, mapped.names)
            return self._upstream.post("/v1/messages", body, attempt)

        reader = AnthropicEvents(attempt)

        def whole(body: bytes) -> list[Delta]:
            return message_deltas(body, reader, attempt)

        return StreamedAnswer(attempt, send, reader, status_error, whole=whole)

    async def aclose(self) -> None:
        """Closes idle connections."""
        await self._upstream.aclose()
