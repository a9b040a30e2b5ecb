"""What events take in memory: the measure of the stream log's bounds, and of the cache's."""

from itertools import groupby

from domain.delta import Shape
from domain.events import E, Events
from domain.model import TERMINAL

# What CPython takes beside the text: measured with sys.getsizeof on 64 bits, rounded up.
EVENT_OVERHEAD = 80
SHAPE_OVERHEAD = 256


def weight(events: Events[E], last: Shape | None = None) -> int:
    """Bytes of these events behind one of the shape `last`. A terminal is paid for when its stream is opened."""
    texts, kinds = events.texts, events.kinds
    size = EVENT_OVERHEAD * len(kinds) + len("".join(texts))
    for kind, _ in groupby(kinds):
        if type(kind) is Shape:
            if kind is not last:
                size += shape_weight(kind)
        elif isinstance(kind, TERMINAL):
            size -= EVENT_OVERHEAD
    return size


def shape_weight(shape: Shape) -> int:
    """Bytes of a shape."""
    size = SHAPE_OVERHEAD + len(shape.head) + len(shape.reasoning) + len(shape.extra)
    if shape.tail is not None:
        size += len(shape.tail)
    for call in shape.tool_calls:
        size += SHAPE_OVERHEAD + len(call.arguments) + len(call.extra)
    return size
