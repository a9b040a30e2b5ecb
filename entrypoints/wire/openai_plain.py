"""OpenAI's dialect, not streamed: one chat completion put together from the events of a stream."""

from typing import Any

from domain.delta import Delta, Dialect
from domain.model import Batch, StreamInfo
from entrypoints.wire import json_text
from entrypoints.wire.openai import chunk

# Said once, or the same each time: not fragments to be joined.
_WHOLE = frozenset({"role", "type", "id", "name", "index", "object", "finish_reason"})


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
            elif value is not None or name not in self._top:
                self._top[name] = value

    def _add_choice(self, piece: dict[str, Any]) -> None:
        index = piece.get("index", 0)
        choice = self._choices.setdefault(
            index, {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
        )
        for name, value in piece.items():
            if name == "delta":
                _merge(choice["message"], value or {})
            elif name != "index":
                _merge(choice, {name: value})

    def completion(self) -> dict[str, Any]:
        """The whole, as `POST /v1/chat/completions` answers without `stream`."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            for call in choice["message"].get("tool_calls") or ():
                call.pop("index", None)  # only fragments are numbered
        top = {name: value for name, value in self._top.items() if name not in {"id", "object"}}
        identity = self._top.get("id") or f"chatcmpl-{self._info.stream_id}"
        return {"id": identity, "object": "chat.completion", **top, "choices": choices}

    def body(self) -> bytes:
        """The completion as JSON."""
        return json_text.dumps(self.completion())


def _merge(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Joins a fragment into what is there: texts are appended, lists joined by their items' `index`, objects merged.

    The rule is that of the official client (`openai.lib.streaming._deltas.accumulate_delta`).
    """
    for name, value in piece.items():
        there = whole.get(name)
        if there is None:
            whole[name] = _numbered(value) if isinstance(value, list) else value
        elif isinstance(value, str) and isinstance(there, str):
            whole[name] = there if name in _WHOLE else there + value
        elif isinstance(value, dict) and isinstance(there, dict):
            _merge(there, value)
        elif isinstance(value, list) and isinstance(there, list):
            _merge_list(there, value)
        elif value is not None:
            whole[name] = value


def _numbered(items: list[Any]) -> list[Any]:
    """The items of a first fragment, those of the same `index` already joined."""
    joined: list[Any] = []
    _merge_list(joined, items)
    return joined


def _merge_list(there: list[Any], items: list[Any]) -> None:
    for item in items:
        index = item.get("index") if isinstance(item, dict) else None
        same = next((other for other in there if isinstance(other, dict) and other.get("index") == index), None)
        if index is None or same is None:
            there.append(item)
        else:
            _merge(same, item)
