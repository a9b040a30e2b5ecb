"""What events take in memory: the measure of the stream log's bounds, and of the cache's."""

from collections.abc import Iterable

from domain.delta import Delta, Shape
from domain.model import TERMINAL, Event

# What CPython takes beside the text: measured with sys.getsizeof on 64 bits, rounded up.
EVENT_OVERHEAD = 160
SHAPE_OVERHEAD = 256


def weight(events: Iterable[Event], last: Shape | None = None) -> int:
    """Bytes of these events behind one of the shape `last`. A terminal is paid for when its stream is opened."""
    size = 0
    for event in events:
        if type(event) is Delta:
            text, shape = event
            size += EVENT_OVERHEAD + len(text)
            if shape is not last:
                last = shape
                size += _shape_weight(shape)
        elif not isinstance(event, TERMINAL):
            size += EVENT_OVERHEAD
    return size


def _shape_weight(shape: Shape) -> int:
    size = SHAPE_OVERHEAD + len(shape.head) + len(shape.reasoning)
    if shape.tail is not None:
        size += len(shape.tail)
    for call in shape.tool_calls:
        size += SHAPE_OVERHEAD + len(call.arguments)
    return size
