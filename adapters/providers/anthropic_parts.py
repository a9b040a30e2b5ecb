"""The parts of a message, from OpenAI's shape to the content blocks of Anthropic's Messages API."""

import base64
import binascii
from collections.abc import Sequence
from mimetypes import guess_type
from urllib.parse import urlsplit

from adapters.providers.conversation_parts import data_url, image_address, nested
from domain.model import Json, JsonObject

PDF = "application/pdf"


def said_blocks(parts: Sequence[JsonObject]) -> list[JsonObject]:
    """The blocks of a message; a text of nothing but white space is left out, for Anthropic refuses it."""
    blocks = map(block, parts)
    return [one for one in blocks if one.get("type") != "text" or _has_words(one.get("text"))]


def block(part: JsonObject) -> JsonObject:
    """One block. What is not one of OpenAI's parts goes as it is: it may be one of Anthropic's."""
    match part.get("type"):
        case "image_url":
            return _media(image_address(part))
        case "file" if data_url(nested(part, "file", "file_data")):
            document = _media(nested(part, "file", "file_data"))
            name = nested(part, "file", "filename")
            return document if name is None or document["type"] != "document" else {**document, "title": name}
        case "refusal":
            return {"type": "text", "text": part.get("refusal")}
        case _:
            return part


def _media(url: Json) -> JsonObject:
    """An image, or a document, whichever part it came in."""
    found = data_url(url)
    if found is None:
        path = urlsplit(url).path if isinstance(url, str) and url.startswith("http") else ""
        kind = "document" if guess_type(path)[0] == PDF else "image"
        return {"type": kind, "source": {"type": "url", "url": url}}
    kind = "image" if found.media_type.startswith("image/") else "document"
    if found.media_type.startswith("text/") and (text := _text(found.data)) is not None:
        return {"type": kind, "source": {"type": "text", "media_type": "text/plain", "data": text}}
    return {"type": kind, "source": {"type": "base64", "media_type": found.media_type, "data": found.data}}


def _text(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _has_words(text: Json) -> bool:
    return not isinstance(text, str) or bool(text.strip())
