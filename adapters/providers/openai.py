"""The provider for OpenAI's dialect: OpenAI, DeepSeek, vLLM, Ollama and every other address that speaks it."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec
from pydantic import SecretStr

from adapters.answer_bounds import AnswerBounds
from adapters.providers.attempt import Attempt
from adapters.providers.call_form import CallForm, CallForms, Form
from adapters.providers.capabilities import may_sign
from adapters.providers.chunk_template import ChunkTemplate
from adapters.providers.openai_chunks import OpenAIChunks, completion_deltas
from adapters.providers.openai_errors import status_error
from adapters.providers.reasoning_details import unsigned
from adapters.providers.streamed_answer import StreamedAnswer
from adapters.providers.upstream import Upstream, UpstreamResponse
from domain.delta import Delta
from domain.model import CompletionRequest, Json
from ports.clock import Clock
from ports.provider import Provider

SIGNED = frozenset({"reasoning_details", "extra_content", "tool_calls"})
"""Fields of messages in which there may be signatures of other vendors."""


class OpenAIProvider(Provider):
    """Chat completions over HTTP, streamed from the provider with usage, unless it refuses that.

    `base_url` includes the version, as in the official clients: `https://api.openai.com/v1`. `stream` and
    `stream_options` say beforehand whether it takes them; else that is found out, and remembered for a while. Raises
    `ConfigurationError` for an address or a key that cannot be used.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: SecretStr | str | None = None,
        *,
        stream: bool = True,
        stream_options: bool = True,
        clock: Clock | None = None,
        bounds: AnswerBounds | None = None,
    ) -> None:
        self._name = name
        self._bounds = bounds or AnswerBounds()
        self._forms = CallForms(Form(stream, stream and stream_options), clock)
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
        form = CallForm(self._forms, model)

        def send() -> UpstreamResponse:
            return self._upstream.post("/chat/completions", _encode(request, model, form.form), attempt)

        def whole(body: bytes) -> list[Delta]:
            return completion_deltas(body, attempt)

        choices = request.options.get("n")
        reader, due = OpenAIChunks(attempt), choices if isinstance(choices, int) else 1
        return StreamedAnswer(
            attempt,
            send,
            reader,
            status_error,
            choices=due,
            template=ChunkTemplate(),
            whole=whole,
            form=form,
            bounds=self._bounds,
        )

    async def aclose(self) -> None:
        """Closes idle connections."""
        await self._upstream.aclose()


def _encode(request: CompletionRequest, model: str, form: Form) -> bytes:
    given = request.options.get("stream_options")
    foreign = any(map(SIGNED.intersection, (message.extra for message in request.messages))) and not may_sign(model)
    body: dict[str, Json] = {
        "model": model,
        "messages": [
            {"role": role, "content": content, **(unsigned(extra) if foreign else extra)}
            for role, content, extra in request.messages
        ],
        **request.options,
        "stream": form.stream,
        "stream_options": {**(given if isinstance(given, dict) else {}), "include_usage": True},
    }
    if not form.stream_options:
        del body["stream_options"]
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # half of a surrogate pair: it goes as the escape that it came as
        return json.dumps(body).encode()
