"""The provider for OpenAI's dialect: OpenAI, DeepSeek, vLLM, Ollama and every other address that speaks it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import SecretStr

from adapters.answer_bounds import AnswerBounds
from adapters.masking import NO_MASKING, Masking
from adapters.providers.attempt import Attempt
from adapters.providers.call_form import CallForm, CallForms, Form
from adapters.providers.capabilities import may_sign
from adapters.providers.chunk_template import ChunkTemplate
from adapters.providers.listing import THREAD_ID, Page, read_models, rows
from adapters.providers.network import FORM, Network, keyed
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
from ports.clock import Clock
from ports.model_list import ModelList
from ports.provider import Provider

DONE_ENDS = "finish"
SIGNED = frozenset({"reasoning_details", "extra_content", "tool_calls"})
"""Fields of messages in which there may be signatures of other vendors."""


class OpenAIProvider(Provider, ModelList):
    """Chat completions over HTTP, streamed from the provider with usage, unless it refuses that.

    `base_url` includes the version, as in the official clients: `https://api.openai.com/v1`. `stream` and
    `stream_options` say beforehand whether it takes them; else that is found out, and remembered for a while. `done`
    is DONE_ENDS for a provider that never says why an answer ends: its `[DONE]` is the end then. Raises
    `ConfigurationError` for an address or a key that cannot be used, and for another `done`.
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
        done: str | None = None,
        stream: bool = True,
        stream_options: bool = True,
        clock: Clock | None = None,
        masking: Masking = NO_MASKING,
        bounds: AnswerBounds | None = None,
    ) -> None:
        self._name = name
        if done not in (None, DONE_ENDS):
            raise ConfigurationError(f"done takes {DONE_ENDS} alone.")
        self._done_ends = done == DONE_ENDS
        self._bounds = bounds or AnswerBounds()
        self._forms = CallForms(Form(stream, stream and stream_options), clock)
        self._masking = masking
        network = Network.of(headers, query, proxy, ca_file, verify=verify)
        self._upstream = Upstream(base_url, keyed(FORM, api_key, api_key_header, "Authorization"), network)

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        """One call; see the port."""
        attempt = Attempt(self._name, thread_id, self._masking)
        form = CallForm(self._forms, model)

        async def send() -> UpstreamResponse:
            body = await encode_body(_body(request, model, form.form), request.size)
            return self._upstream.post("/chat/completions", body, attempt)

        reader, choices = OpenAIChunks(attempt, ends=self._done_ends), request.options.get("n")
        due = choices if isinstance(choices, int) else 1

        def whole(body: bytes) -> list[Delta]:
            return completion_deltas(body, reader, attempt)

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

    async def list_models(self) -> Sequence[str]:
        """See the port of model lists."""
        attempt = Attempt(self._name, THREAD_ID, self._masking)
        return await read_models(self._upstream, attempt, "/models", _page, status_error)

    async def aclose(self) -> None:
        """Closes idle connections."""
        await self._upstream.aclose()


def _body(request: CompletionRequest, model: str, form: Form) -> dict[str, object]:
    given = request.options.get("stream_options")
    foreign = any(map(SIGNED.intersection, (message.extra for message in request.messages))) and not may_sign(model)
    body: dict[str, object] = {
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
    return body


def _page(content: Mapping[str, Any]) -> Page:
    """One page has all."""
    return Page([row["id"] for row in rows(content, "data") if isinstance(row.get("id"), str)])
