"""How much of a provider's answer is read, and what all streams of a process hold of events that are not whole yet."""

from dataclasses import dataclass, field

MAX_ANSWER_BYTES = 64 << 20
FREE_BYTES = 1 << 20
"""So much of an event each stream may hold without asking: nearly all events are smaller."""
ROOM_BYTES = 256 << 20


class EventRoom:
    """`max_bytes` for the parts of events beyond the first mebibyte of each stream."""

    def __init__(self, max_bytes: int = ROOM_BYTES) -> None:
        self._max_bytes = max_bytes
        self.taken = 0
        """Bytes in use."""

    def place(self) -> "EventPlace":
        """The place of one stream in it."""
        return EventPlace(self)

    def resize(self, before: int, after: int) -> bool:
        """Takes or gives back the difference of both. False if there is not so much left."""
        taken = self.taken + after - before
        if after > before and taken > self._max_bytes:
            return False
        self.taken = taken
        return True


class EventPlace:
    """What one stream holds of an event that is not whole."""

    __slots__ = ("_held", "_room")

    def __init__(self, room: EventRoom) -> None:
        self._room = room
        self._held = 0

    def hold(self, size: int) -> bool:
        """The stream holds so many bytes now. False if there is no room for them: it is as it was before."""
        wanted = max(0, size - FREE_BYTES)
        if wanted != self._held:
            if not self._room.resize(self._held, wanted):
                return False
            self._held = wanted
        return True


@dataclass(frozen=True, slots=True)
class AnswerBounds:
    """The bounds of each answer, and the room that all share."""

    max_bytes: int = MAX_ANSWER_BYTES
    """As it comes over the wire; one event may be as large."""
    room: EventRoom = field(default_factory=EventRoom)
