"""Reads a provider's list of models: one page of JSON after another, each a plain GET."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from adapters.providers.attempt import Attempt
from adapters.providers.streamed_answer import MAX_ERROR_BODY_BYTES, StatusError
from adapters.providers.upstream import Upstream, UpstreamResponse
from domain.errors import ProviderResponseError

MAX_PAGES = 10
MAX_PAGE_BYTES = 4 << 20
MAX_MODELS = 5_000
THREAD_ID = "models"
"""No request's: what the errors of a list carry."""

_DECODER = msgspec.json.Decoder(dict[str, Any])


class Page(NamedTuple):
    """The names on a page, and the path of the next one, if there is another."""

    names: list[str]
    following: str | None = None


async def read_models(
    upstream: Upstream,
    attempt: Attempt,
    path: str,
    page: Callable[[Mapping[str, Any]], Page],
    status_error: StatusError,
) -> list[str]:
    """All names, MAX_MODELS and MAX_PAGES at most. Raises a `ProviderError`."""
    names: list[str] = []
    following: str | None = path
    for _ in range(MAX_PAGES):
        if following is None or len(names) >= MAX_MODELS:
            break
        read = page(await _get(upstream, attempt, following, status_error))
        names += read.names
        following = read.following
    return names[:MAX_MODELS]


def rows(content: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The objects in the list under this key."""
    found = content.get(key)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


async def _get(upstream: Upstream, attempt: Attempt, path: str, status_error: StatusError) -> Mapping[str, Any]:
    async with upstream.get(path, attempt) as response:
        if response.status != 200:
            body = await _read(response, attempt, MAX_ERROR_BODY_BYTES)
            raise status_error(attempt, response.status, response.headers, body)
        body = await _read(response, attempt, MAX_PAGE_BYTES)
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise attempt.error(ProviderResponseError, "The provider's list of models is not JSON.") from error


async def _read(response: UpstreamResponse, attempt: Attempt, most: int) -> bytes:
    body = bytearray()
    while data := await response.read():
        body += data
        if len(body) > most:
            raise attempt.error(ProviderResponseError, "The provider's list of models is larger than it may be.")
    return bytes(body)
