"""What a parser finds in a chunk, plain messages as events too."""

from adapters.providers.event_stream import MESSAGE, EventStreamParser, ServerSentEvent


def fed(parser: EventStreamParser, chunk: bytes) -> list[ServerSentEvent]:
    """The events, in order."""
    events, messages = parser.feed(chunk)
    return [*events, *(ServerSentEvent(MESSAGE, data) for data in messages)]
