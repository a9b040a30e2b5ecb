"""OpenAI's dialect, not streamed: one chat completion put together from the events of a stream."""

from typing import Any

from domain.delta import Delta, Dialect
from domain.model import Batch, StreamInfo
from entrypoints.wire import json_text
from entrypoints.wire.openai import chunk
from entrypoints.wire.openai_fragments import is_empty, merge, plain_content


class CompletionAssembler:
    """Takes batches, gives the completion. Fields that Headgate does not know are joined like the ones it knows."""

    def __init__(self, info: StreamInfo) -> None:
        self._info = info
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, batch: Batch) -> None:
        """Joins the deltas of the batch; other events are not part of a completion."""
        for event in batch.events:
            if isinstance(event, Delta):
                self._add(json_text.loads(event.raw) if event.dialect is Dialect.OPENAI else self._chunk(event))

    def _chunk(self, event: Delta) -> dict[str, Any]:
        """A delta of another dialect. The route's name does not take the place of a model that was named (R7)."""
        piece: dict[str, Any] = chunk(*event, self._info, include_usage=True)
        if event.model is None:
            piece["model"] = self._top.get("model", self._info.model)
        return piece

    def _add(self, piece: dict[str, Any]) -> None:
        for name, value in piece.items():
            if name == "choices":
                for choice in value or ():
                    self._add_choice(choice)
            elif name not in self._top or not (is_empty(value) or value == 0):
                self._top[name] = value

    def _add_choice(self, piece: dict[str, Any]) -> None:
        index = piece.get("index") or 0
        choice = self._choices.setdefault(
            index, {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
        )
        for name, value in piece.items():
            if name == "delta":
                merge(choice["message"], value or {})
            elif name != "index":
                merge(choice, {name: value}, "choice")

    def completion(self) -> dict[str, Any]:
        """The whole, as `POST /v1/chat/completions` answers without `stream`."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            message = choice["message"]
            message["content"] = plain_content(message["content"])
            for call in message.get("tool_calls") or ():
                call.pop("index", None)  # only fragments are numbered
                if "function" in call:
                    call.setdefault("type", "function")
        top = {name: value for name, value in self._top.items() if name not in {"id", "object"}}
        if isinstance(created := top.get("created"), str) and created.isdecimal():
            top["created"] = int(created)
        identity = self._top.get("id") or f"chatcmpl-{self._info.stream_id}"
        return {"id": identity, "object": "chat.completion", **top, "choices": choices}

    def body(self) -> bytes:
        """The completion as JSON."""
        return json_text.dumps(self.completion())
