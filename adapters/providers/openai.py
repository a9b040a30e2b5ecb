"""The provider for OpenAI's dialect: OpenAI, DeepSeek, vLLM, Ollama and every other address that speaks it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from pydantic import SecretStr

from adapters.providers.attempt import Attempt
from adapters.providers.capabilities import may_sign
from adapters.providers.chunk_template import ChunkTemplate
from adapters.providers.openai_chunks import OpenAIChunks
from adapters.providers.openai_completion import completion_deltas
from adapters.providers.openai_errors import status_error
from adapters.providers.reasoning_details import unsigned
from adapters.providers.request_body import encode_body
from adapters.providers.streamed_answer import StreamedAnswer
from adapters.providers.upstream import Upstream, UpstreamResponse
from domain.delta import Delta
from domain.errors import ConfigurationError
from domain.model import CompletionRequest
from ports.provider import Provider

DONE_ENDS = "finish"
SIGNED = frozenset({"reasoning_details", "extra_content", "tool_calls"})
"""Fields of messages in which there may be signatures of other vendors."""


class OpenAIProvider(Provider):
    """Chat completions over HTTP, always streamed from the provider, with usage.

    `base_url` includes the version, as in the official clients: `https://api.openai.com/v1`. `done` is DONE_ENDS for
    a provider that never says why an answer ends: its `[DONE]` is the end then. Raises `ConfigurationError` for an
    address or a key that cannot be used, and for another `done`.
    """

    def __init__(
        self, name: str, base_url: str, api_key: SecretStr | str | None = None, *, done: str | None = None
    ) -> None:
        self._name = name
        if done not in (None, DONE_ENDS):
            raise ConfigurationError(f"done takes {DONE_ENDS} alone.")
        self._done_ends = done == DONE_ENDS
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        if api_key is not None:
            key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
            headers["Authorization"] = f"Bearer {key}"
        self._upstream = Upstream(base_url, headers)

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        """One call; see the port."""
        attempt = Attempt(self._name, thread_id)

        async def send() -> UpstreamResponse:
            body = await encode_body(_body(request, model), request.size)
            return self._upstream.post("/chat/completions", body, attempt)

        reader, choices = OpenAIChunks(attempt, ends=self._done_ends), request.options.get("n")
        due = choices if isinstance(choices, int) else 1

        def whole(body: bytes) -> list[Delta]:
            return completion_deltas(body, reader, attempt)

        return StreamedAnswer(attempt, send, reader, status_error, choices=due, template=ChunkTemplate(), whole=whole)

    async def aclose(self) -> None:
        """Closes idle connections."""
        await self._upstream.aclose()


def _body(request: CompletionRequest, model: str) -> dict[str, object]:
    given = request.options.get("stream_options")
    foreign = any(map(SIGNED.intersection, (message.extra for message in request.messages))) and not may_sign(model)
    return {
        "model": model,
        "messages": [
            {"role": role, "content": content, **(unsigned(extra) if foreign else extra)}
            for role, content, extra in request.messages
        ],
        **request.options,
        "stream": True,
        "stream_options": {**(given if isinstance(given, dict) else {}), "include_usage": True},
    }
