"""How fragments of a message in OpenAI's dialect are joined: texts are appended, of all else the last counts."""

from typing import Any

TEXTS = frozenset({"content", "refusal", "arguments", "input", "transcript", "thinking", "text", "summary"})
"""Texts by nature, whose fragments are appended; so are all `reasoning…`, and the `data` of an `audio`."""
FIRST = frozenset({"role", "type", "index", "object", "finish_reason"})
"""What is said once: a reason for stopping that comes again, as Ollama's `stop` behind `tool_calls`, is another's."""


def is_empty(value: object) -> bool:
    """Whether a value says nothing, and so takes the place of no other."""
    return value is None or value in ("", [], {})


def merge(whole: dict[str, Any], piece: dict[str, Any], within: str = "") -> None:
    """Joins a fragment into what is there; `within` is the member that both are the value of."""
    for name, value in piece.items():
        there = whole.get(name)
        if is_empty(there):
            if not is_empty(value) or there is None:
                whole[name] = _numbered(value, name, within) if isinstance(value, list) else value
        elif is_empty(value):
            continue
        elif name == "content" and not within and (isinstance(value, list) or isinstance(there, list)):
            whole[name] = _joined_parts(_as_parts(there), _as_parts(value))
        elif isinstance(value, str) and isinstance(there, str):
            if _is_text(name, within):
                whole[name] = there + value
            elif name not in FIRST:
                whole[name] = value
        elif isinstance(value, dict) and isinstance(there, dict):
            merge(there, value, name)
        elif isinstance(value, list) and isinstance(there, list):
            _merge_list(there, value, name, within)
        else:
            whole[name] = value


def plain_content(content: Any) -> Any:
    """A content of nothing but texts as one text; others stay lists of parts, as their provider's plain answers are."""
    if isinstance(content, list) and all(isinstance(part, dict) and set(part) == {"type", "text"} for part in content):
        return "".join(part["text"] for part in content)
    return content


def _is_text(name: str, within: str) -> bool:
    return name in TEXTS or name.startswith("reasoning") or (name == "data" and within == "audio")


def _numbered(items: list[Any], name: str, within: str) -> list[Any]:
    """The items of a first fragment, those of the same `index` already joined."""
    joined: list[Any] = []
    if name == "content" and not within:
        return _joined_parts(joined, _as_parts(items))
    _merge_list(joined, items, name, within)
    return joined


def _merge_list(there: list[Any], items: list[Any], name: str, within: str) -> None:
    """Items of the same `index` are one, but for images, which come whole; what comes again is not told twice, unless
    it may well do so: probabilities, and numbers."""
    for item in items:
        index = item.get("index") if isinstance(item, dict) and name != "images" else None
        same = None if index is None else next((other for other in there if _is_same(other, item)), None)
        if same is not None:
            merge(same, item, name)
        elif within == "logprobs" or isinstance(item, int | float) or item not in there:
            there.append(item)


def _is_same(there: Any, item: dict[str, Any]) -> bool:
    """Whether both are fragments of one: the same number, and no two types or ids."""
    if not isinstance(there, dict) or there.get("index") != item["index"]:
        return False
    return all(
        is_empty(there.get(name)) or is_empty(item.get(name)) or there[name] == item[name] for name in ("type", "id")
    )


def _as_parts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    return [{"type": "text", "text": content}]


def _joined_parts(there: list[Any], parts: list[Any]) -> list[Any]:
    """Parts of a content, neighbours that are texts or thoughts in one."""
    for part in parts:
        last = there[-1] if there else None
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(last, dict) and kind in ("text", "thinking") and last.get("type") == kind:
            thoughts = last.get("thinking"), part.get("thinking")
            if isinstance(thoughts[0], list) and isinstance(thoughts[1], list):
                rest = {name: value for name, value in part.items() if name != "thinking"}
                last["thinking"] = _joined_parts(thoughts[0], thoughts[1])
                merge(last, rest, "content")
            else:
                merge(last, part, "content")
        else:
            there.append(part)
    return there
