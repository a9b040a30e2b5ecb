"""Parts of Gemini's answers that are neither text nor calls: images and other media, code and what it printed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.providers.request_body import encoded
from domain.model import JsonObject

_TICKS = re.compile("`{3,}")


def read_media(inline: Any, file: Any) -> tuple[str, str] | None:
    """The media type and the address of what a part holds: its own bytes as a `data:` address, or a file's."""
    if isinstance(inline, dict) and isinstance(data := inline.get("data"), str) and data:
        kind = _media_type(inline)
        return kind, f"data:{kind};base64,{data}"
    if isinstance(file, dict) and isinstance(url := file.get("fileUri"), str) and url:
        return _media_type(file), url
    return None


def extra_of(media: Sequence[tuple[str, str]], known: int) -> bytes:
    """What shows media in OpenAI's dialect, behind so many `known` ones: images as OpenRouter has them
    (openrouter.ai/docs/features/multimodal/image-generation), sound as `audio`, all else as files."""
    shown: dict[str, Any] = {}
    for index, (kind, url) in enumerate(media, known):
        if kind.startswith("image/"):
            image: JsonObject = {"type": "image_url", "image_url": {"url": url}, "index": index}
            shown.setdefault("images", []).append(image)
        elif kind.startswith("audio/") and url.startswith("data:"):
            before = shown.get("audio", {"data": ""})["data"]
            shown["audio"] = {"id": "audio_0", "data": before + url.partition(",")[2], "mime_type": kind}
        else:
            file: JsonObject = {"type": "file", "file": {"file_data": url}, "index": index}
            shown.setdefault("files", []).append(file)
    return encoded(shown) if shown else b""


def joined_extra(shown: bytes, signed: bytes) -> bytes:
    """Two JSON objects in one, what is to be seen first."""
    return b"%b,%b" % (shown[:-1], signed[1:]) if shown and signed else shown or signed


def fenced(code: Any, result: Any) -> str:
    """Code that the model ran, or what it printed, as Markdown; "" if there is neither."""
    if isinstance(code, Mapping) and isinstance(text := code.get("code"), str) and text:
        language = code.get("language")
        return _fence(text, language.lower() if isinstance(language, str) and language.isalnum() else "")
    if isinstance(result, Mapping) and isinstance(text := result.get("output"), str) and text:
        return _fence(text, "")
    return ""


def _fence(text: str, language: str) -> str:
    """A fence is longer than any in the text."""
    ticks = "`" * max([2, *map(len, _TICKS.findall(text))]) + "`"
    end = "" if text.endswith("\n") else "\n"
    return f"\n{ticks}{language}\n{text}{end}{ticks}\n"


def _media_type(part: Mapping[str, Any]) -> str:
    kind = part.get("mimeType")
    return kind.lower() if isinstance(kind, str) and kind else "application/octet-stream"
