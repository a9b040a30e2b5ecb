"""Which door a path belongs to, and whose dialect a door speaks."""

from collections.abc import Mapping
from types import MappingProxyType

from domain.delta import Dialect
from ports.refusals import Door

_FIRST_PARTS: Mapping[str, Door] = MappingProxyType(
    {
        "/v1/streams": Door.NATIVE,
        "/v1/chat": Door.CHAT,
        "/v1/models": Door.CHAT,
        "/v1/threads": Door.OPERATOR,
        "/v1/stages": Door.OPERATOR,
        "/v1/providers": Door.OPERATOR,
        "/livez": Door.OPERATOR,
        "/readyz": Door.OPERATOR,
        "/metrics": Door.OPERATOR,
    }
)
DIALECTS: Mapping[Door, Dialect] = MappingProxyType(
    {door: Dialect.NATIVE if door in {Door.NATIVE, Door.OPERATOR} else Dialect.OPENAI for door in Door}
)
"""Whose error object the callers of a door get. Most clients of paths that do not exist are OpenAI's, misconfigured."""


def door_of(path: str) -> Door:
    """The door of a path, decoded. Never raises."""
    return next(
        (door for first, door in _FIRST_PARTS.items() if path == first or path.startswith(f"{first}/")), Door.OTHER
    )
