"""Answers of Gemini's that come as JSON and no event stream: one response, or the list of all."""

import json

from adapters.providers.attempt import Attempt
from adapters.providers.event_stream import MESSAGE, ServerSentEvent
from adapters.providers.gemini_chunks import GeminiChunks
from adapters.providers.request_body import encoded
from domain.delta import Delta
from domain.errors import ProviderResponseError


def response_deltas(body: bytes, reader: GeminiChunks, attempt: Attempt) -> list[Delta]:
    """Their deltas. Raises `ProviderResponseError` if there are none, and the error that one is."""
    error = reader.error(body)
    if error is not None:
        raise error
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as failure:
        raise attempt.error(ProviderResponseError, "The provider's JSON is not an answer.") from failure
    responses = given if isinstance(given, list) else [given]
    said = [reader.delta(ServerSentEvent(MESSAGE, encoded(one))) for one in responses]
    deltas = [delta for delta in (*said, *reader.last()) if delta is not None]
    if not deltas:
        raise attempt.error(ProviderResponseError, "The provider's JSON is not an answer.")
    return deltas
